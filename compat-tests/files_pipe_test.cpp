// pipe, fifos, SIGPIPE.
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <vector>

#include "files_support.h"

namespace {

class PipeTest : public FilesTest {
  protected:
    PipeTest() {
        signal(SIGPIPE, SIG_IGN);
        EXPECT_OK(pipe2(ends_, O_NONBLOCK));
    }
    ~PipeTest() override {
        close(ends_[0]);
        close(ends_[1]);
    }
    size_t fill() {
        std::vector<char> page(4096, 'x');
        size_t total = 0;
        for (ssize_t put; (put = write(ends_[1], page.data(), page.size())) > 0;) total += put;
        EXPECT_EQ(errno, EAGAIN);
        return total;
    }
    int ends_[2];
    char buffer_[65536];
};

TEST_F(PipeTest, BytesComeOutInOrder) {
    EXPECT_ERRNO(read(ends_[0], buffer_, 10), EAGAIN);
    EXPECT_EQ(write(ends_[1], "one", 3), 3);
    EXPECT_EQ(write(ends_[1], "two", 3), 3);
    int count = 0;
    EXPECT_OK(ioctl(ends_[0], FIONREAD, &count));
    EXPECT_EQ(count, 6);
    EXPECT_EQ(read(ends_[0], buffer_, 4), 4);
    EXPECT_EQ(memcmp(buffer_, "onet", 4), 0);
    EXPECT_EQ(read(ends_[0], buffer_, 10), 2);
    EXPECT_EQ(read(ends_[0], buffer_, 0), 0);
    EXPECT_ERRNO(write(ends_[0], "x", 1), EBADF);
    EXPECT_ERRNO(read(ends_[1], buffer_, 1), EBADF);
    EXPECT_ERRNO(lseek(ends_[0], 0, SEEK_SET), ESPIPE);
    EXPECT_ERRNO(pread(ends_[0], buffer_, 1, 0), ESPIPE);
    EXPECT_ERRNO(fsync(ends_[0]), EINVAL);
    EXPECT_ERRNO(write(ends_[1], bad_pointer(), 1), EFAULT);
    struct stat st;
    ASSERT_OK(fstat(ends_[0], &st));
    EXPECT_TRUE(S_ISFIFO(st.st_mode));
}

TEST_F(PipeTest, HoldsSixtyFourKibibytes) {
    EXPECT_EQ(fcntl(ends_[0], F_GETPIPE_SZ), 65536);
    EXPECT_EQ(fill(), 65536u);
    // Small writes are all or nothing, large ones take what fits.
    EXPECT_EQ(read(ends_[0], buffer_, 5000), 5000);
    EXPECT_EQ(write(ends_[1], buffer_, 4096), 4096);
    EXPECT_ERRNO(write(ends_[1], buffer_, 4096), EAGAIN);
    EXPECT_EQ(read(ends_[0], buffer_, 8192), 8192);
    EXPECT_EQ(write(ends_[1], buffer_, 30000), 8192);
}

TEST_F(PipeTest, SizesChange) {
    EXPECT_EQ(fcntl(ends_[0], F_SETPIPE_SZ, 100000), 131072);
    EXPECT_EQ(fill(), 131072u);
    EXPECT_ERRNO(fcntl(ends_[0], F_SETPIPE_SZ, 4096), EBUSY);
    while (read(ends_[0], buffer_, sizeof(buffer_)) > 0) continue;
    EXPECT_EQ(fcntl(ends_[1], F_SETPIPE_SZ, 1), 4096);
    EXPECT_EQ(fill(), 4096u);
    int fd = open("/dev/null", O_RDONLY);
    EXPECT_ERRNO(fcntl(fd, F_GETPIPE_SZ), EBADF);
    close(fd);
}

TEST_F(PipeTest, EndsTellEachOther) {
    EXPECT_EQ(write(ends_[1], "last", 4), 4);
    close(ends_[1]);
    EXPECT_EQ(read(ends_[0], buffer_, 10), 4);
    EXPECT_EQ(read(ends_[0], buffer_, 10), 0);
    ASSERT_OK(pipe(ends_));
    close(ends_[0]);
    EXPECT_ERRNO(write(ends_[1], "x", 1), EPIPE);
}

volatile sig_atomic_t pipe_signals = 0;

TEST_F(PipeTest, BrokenPipesSignal) {
    signal(SIGPIPE, [](int) { pipe_signals = pipe_signals + 1; });
    close(ends_[0]);
    EXPECT_ERRNO(write(ends_[1], "x", 1), EPIPE);
    EXPECT_EQ(pipe_signals, 1);
    EXPECT_EQ(write(ends_[1], "", 0), 0);
    EXPECT_EQ(pipe_signals, 1);
    signal(SIGPIPE, SIG_IGN);
    ends_[0] = -1;
}

TEST_F(PipeTest, PacketsKeepTheirBorders) {
    int packets[2];
    ASSERT_OK(pipe2(packets, O_DIRECT | O_NONBLOCK));
    EXPECT_EQ(write(packets[1], "first", 5), 5);
    EXPECT_EQ(write(packets[1], "second", 6), 6);
    EXPECT_EQ(read(packets[0], buffer_, 100), 5);
    EXPECT_EQ(read(packets[0], buffer_, 3), 3);  // the rest of a packet is lost
    EXPECT_ERRNO(read(packets[0], buffer_, 100), EAGAIN);
    close(packets[0]);
    close(packets[1]);
}

TEST_F(PipeTest, CreationErrors) {
    EXPECT_ERRNO(pipe2(ends_, O_APPEND), EINVAL);
    EXPECT_ERRNO(pipe(reinterpret_cast<int*>(bad_pointer())), EFAULT);
    int fd = dup(0);
    close(fd);
    EXPECT_EQ(dup(0), fd);  // a failed pipe leaves no descriptors behind
    close(fd);
}

TEST_F(PipeTest, FifosHaveNames) {
    ASSERT_OK(mkfifo("fifo", 0600));
    EXPECT_ERRNO(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK);
    ASSERT_GE(reader, 0);
    EXPECT_EQ(read(reader, buffer_, 1), 0);  // nobody writes
    int writer = open("fifo", O_WRONLY);
    ASSERT_GE(writer, 0);
    EXPECT_ERRNO(read(reader, buffer_, 1), EAGAIN);
    EXPECT_EQ(write(writer, "text", 4), 4);
    EXPECT_EQ(read(reader, buffer_, 10), 4);
    close(writer);
    EXPECT_EQ(read(reader, buffer_, 1), 0);
    close(reader);
    int both = open("fifo", O_RDWR);  // Linux: does not wait
    EXPECT_EQ(write(both, "x", 1), 1);
    EXPECT_EQ(read(both, buffer_, 10), 1);
    close(both);
}

TEST_F(PipeTest, ProcShowsThem) {
    char link[64] = {};
    ASSERT_GT(readlink(("/proc/self/fd/" + std::to_string(ends_[0])).c_str(), link, 63), 0);
    struct stat st;
    ASSERT_OK(fstat(ends_[0], &st));
    EXPECT_EQ(std::string(link), "pipe:[" + std::to_string(st.st_ino) + "]");
    EXPECT_EQ(write(ends_[1], "x", 1), 1);
    int again = open(("/proc/self/fd/" + std::to_string(ends_[0])).c_str(), O_RDONLY);
    ASSERT_GE(again, 0);
    EXPECT_EQ(read(again, buffer_, 1), 1);
    close(again);
}

}  // namespace
