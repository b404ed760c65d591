// splice, tee, vmsplice, sendfile; FIFOs between threads.
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <csignal>
#include <vector>

#include "files_support.h"

namespace {

class SpliceTest : public FilesTest {
  protected:
    SpliceTest() {
        signal(SIGPIPE, SIG_IGN);
        EXPECT_OK(pipe2(one_, O_NONBLOCK));
        EXPECT_OK(pipe2(two_, O_NONBLOCK));
    }
    ~SpliceTest() override {
        for (int fd : {one_[0], one_[1], two_[0], two_[1]}) close(fd);
    }
    static std::string drain(int fd) {
        std::string text;
        char buffer[65536];
        for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, got);
        return text;
    }
    static int pending(int fd) {
        int count = -1;
        EXPECT_OK(ioctl(fd, FIONREAD, &count));
        return count;
    }
    static std::string pattern(size_t size) {
        std::string text(size, '\0');
        for (size_t i = 0; i < size; i++) text[i] = static_cast<char>(i * 31 + i / 4093);
        return text;
    }
    int one_[2], two_[2];
};

TEST_F(SpliceTest, FilesGoIntoPipes) {
    const std::string text = pattern(20000);
    write_file("file", text);
    int fd = open("file", O_RDONLY);
    EXPECT_EQ(splice(fd, nullptr, one_[1], nullptr, 5000, 0), 5000);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 5000);
    loff_t offset = 7001;
    EXPECT_EQ(splice(fd, &offset, one_[1], nullptr, 6000, 0), 6000);
    EXPECT_EQ(offset, 13001);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 5000);
    EXPECT_EQ(drain(one_[0]), text.substr(0, 5000) + text.substr(7001, 6000));
    offset = 19000;
    EXPECT_EQ(splice(fd, &offset, one_[1], nullptr, 6000, 0), 1000);
    EXPECT_EQ(splice(fd, &offset, one_[1], nullptr, 6000, 0), 0);
    EXPECT_EQ(drain(one_[0]), text.substr(19000));
    close(fd);
}

TEST_F(SpliceTest, FullPipesTakeWhatFits) {
    write_file("file", pattern(200000));
    int fd = open("file", O_RDONLY);
    EXPECT_EQ(splice(fd, nullptr, one_[1], nullptr, 200000, 0), 65536);
    EXPECT_ERRNO(splice(fd, nullptr, one_[1], nullptr, 1, 0), EAGAIN);
    EXPECT_EQ(drain(one_[0]), pattern(200000).substr(0, 65536));
    close(fd);
}

TEST_F(SpliceTest, SplicedPagesAreNotAppendedTo) {
    write_file("file", "file");
    int fd = open("file", O_RDONLY);
    EXPECT_EQ(splice(fd, nullptr, one_[1], nullptr, 4, 0), 4);
    EXPECT_EQ(write(one_[1], "more", 4), 4);
    EXPECT_EQ(drain(one_[0]), "filemore");
    EXPECT_EQ(read_file("file"), "file");
    struct stat st;
    ASSERT_OK(stat("file", &st));
    EXPECT_EQ(st.st_size, 4);
    close(fd);
}

TEST_F(SpliceTest, PipesGoIntoFiles) {
    const std::string text = pattern(10000);
    EXPECT_EQ(write(one_[1], text.data(), text.size()), 10000);
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    EXPECT_EQ(splice(one_[0], nullptr, fd, nullptr, 4000, 0), 4000);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 4000);
    loff_t offset = 4000;
    EXPECT_EQ(splice(one_[0], nullptr, fd, &offset, 100000, 0), 6000);
    EXPECT_EQ(offset, 10000);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 4000);
    EXPECT_EQ(read_file("file"), text);
    EXPECT_ERRNO(splice(one_[0], nullptr, fd, nullptr, 1, SPLICE_F_NONBLOCK), EAGAIN);
    EXPECT_OK(fcntl(fd, F_SETFL, O_APPEND));
    EXPECT_EQ(write(one_[1], "x", 1), 1);
    EXPECT_ERRNO(splice(one_[0], nullptr, fd, nullptr, 1, 0), EINVAL);
    close(fd);
}

TEST_F(SpliceTest, PipesGoIntoPipes) {
    const std::string text = pattern(9000);
    EXPECT_EQ(write(one_[1], text.data(), text.size()), 9000);
    EXPECT_EQ(splice(one_[0], nullptr, two_[1], nullptr, 5000, 0), 5000);
    EXPECT_EQ(pending(one_[0]), 4000);
    EXPECT_EQ(pending(two_[0]), 5000);
    EXPECT_EQ(write(one_[1], "tail", 4), 4);
    EXPECT_EQ(write(two_[1], "end", 3), 3);
    EXPECT_EQ(drain(two_[0]), text.substr(0, 5000) + "end");
    EXPECT_EQ(drain(one_[0]), text.substr(5000) + "tail");
    EXPECT_ERRNO(splice(one_[0], nullptr, two_[1], nullptr, 5000, 0), EAGAIN);
    EXPECT_ERRNO(splice(one_[0], nullptr, one_[1], nullptr, 5000, 0), EINVAL);
    close(one_[1]);
    EXPECT_EQ(splice(one_[0], nullptr, two_[1], nullptr, 5000, 0), 0);
    one_[1] = -1;
}

TEST_F(SpliceTest, TeeLeavesTheSource) {
    const std::string text = pattern(9000);
    EXPECT_EQ(write(one_[1], text.data(), text.size()), 9000);
    EXPECT_EQ(tee(one_[0], two_[1], 5000, 0), 5000);
    EXPECT_EQ(pending(one_[0]), 9000);
    EXPECT_EQ(write(one_[1], "one", 3), 3);
    EXPECT_EQ(write(two_[1], "two", 3), 3);
    EXPECT_EQ(drain(two_[0]), text.substr(0, 5000) + "two");
    EXPECT_EQ(drain(one_[0]), text + "one");
    EXPECT_ERRNO(tee(one_[0], two_[1], 10, 0), EAGAIN);
    EXPECT_ERRNO(tee(one_[0], one_[1], 10, 0), EINVAL);
    EXPECT_EQ(tee(one_[0], two_[1], 0, 0), 0);
    int fd = open("/dev/null", O_RDWR);
    EXPECT_ERRNO(tee(fd, two_[1], 10, 0), EINVAL);
    EXPECT_ERRNO(tee(one_[1], two_[1], 10, 0), EBADF);
    EXPECT_ERRNO(tee(one_[0], two_[1], 10, 0x1000), EINVAL);
    close(fd);
}

TEST_F(SpliceTest, MemoryGoesIntoPipesAndOut) {
    std::string first = "first ", second = "second";
    iovec parts[] = {{first.data(), first.size()}, {second.data(), second.size()}};
    EXPECT_EQ(vmsplice(one_[1], parts, 2, 0), 12);
    char buffer[32] = {};
    iovec in = {buffer, sizeof(buffer)};
    EXPECT_EQ(vmsplice(one_[0], &in, 1, 0), 12);
    EXPECT_STREQ(buffer, "first second");
    EXPECT_EQ(vmsplice(one_[1], parts, 0, 0), 0);
    EXPECT_ERRNO(vmsplice(one_[0], &in, 1, SPLICE_F_NONBLOCK), EAGAIN);
    iovec bad = {bad_pointer(), 4};
    EXPECT_ERRNO(vmsplice(one_[1], &bad, 1, 0), EFAULT);
    bad.iov_base = kernel_pointer();
    EXPECT_ERRNO(vmsplice(one_[1], &bad, 1, 0), EFAULT);
    EXPECT_ERRNO(vmsplice(one_[1], reinterpret_cast<iovec*>(bad_pointer()), 1, 0), EFAULT);
    EXPECT_ERRNO(vmsplice(one_[1], parts, 1, 0x1000), EINVAL);
    EXPECT_ERRNO(vmsplice(999, parts, 1, 0), EBADF);
    int fd = open("/dev/null", O_RDWR);
    EXPECT_ERRNO(vmsplice(fd, parts, 1, 0), EBADF);
    close(fd);
}

TEST_F(SpliceTest, SpliceErrors) {
    write_file("file", "text");
    int fd = open("file", O_RDWR);
    loff_t offset = 0;
    EXPECT_EQ(splice(one_[0], nullptr, fd, nullptr, 0, 0), 0);
    EXPECT_ERRNO(splice(fd, nullptr, one_[1], nullptr, 1, 0x1000), EINVAL);
    EXPECT_ERRNO(splice(fd, nullptr, fd, nullptr, 1, 0), EINVAL);
    EXPECT_ERRNO(splice(999, nullptr, one_[1], nullptr, 1, 0), EBADF);
    EXPECT_ERRNO(splice(fd, nullptr, 999, nullptr, 1, 0), EBADF);
    EXPECT_ERRNO(splice(one_[1], nullptr, fd, nullptr, 1, 0), EBADF);
    EXPECT_ERRNO(splice(fd, nullptr, one_[0], nullptr, 1, 0), EBADF);
    EXPECT_ERRNO(splice(one_[0], &offset, fd, nullptr, 1, 0), ESPIPE);
    EXPECT_ERRNO(splice(fd, nullptr, one_[1], &offset, 1, 0), ESPIPE);
    EXPECT_ERRNO(splice(fd, reinterpret_cast<loff_t*>(bad_pointer()), one_[1], nullptr, 1, 0),
                 EFAULT);
    offset = -1;
    EXPECT_ERRNO(splice(fd, &offset, one_[1], nullptr, 1, 0), EINVAL);
    int directory = open(".", O_RDONLY);
    EXPECT_ERRNO(splice(directory, nullptr, one_[1], nullptr, 1, 0), EINVAL);
    close(directory);
    close(one_[0]);
    one_[0] = -1;
    EXPECT_ERRNO(splice(fd, nullptr, one_[1], nullptr, 1, 0), EPIPE);
    close(fd);
}

TEST_F(SpliceTest, SocketsAndPipes) {
    int pair[2];
    ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    EXPECT_EQ(write(one_[1], "through", 7), 7);
    EXPECT_EQ(splice(one_[0], nullptr, pair[0], nullptr, 100, 0), 7);
    EXPECT_EQ(splice(pair[1], nullptr, two_[1], nullptr, 100, 0), 7);
    EXPECT_EQ(drain(two_[0]), "through");
    EXPECT_ERRNO(splice(pair[1], nullptr, two_[1], nullptr, 100, 0), EAGAIN);
    close(pair[0]);
    EXPECT_EQ(splice(pair[1], nullptr, two_[1], nullptr, 100, 0), 0);
    close(pair[1]);
}

TEST_F(SpliceTest, SendfileToPipesAndSockets) {
    const std::string text = pattern(50000);
    write_file("file", text);
    int fd = open("file", O_RDONLY);
    EXPECT_EQ(sendfile(one_[1], fd, nullptr, 30000), 30000);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 30000);
    EXPECT_EQ(drain(one_[0]), text.substr(0, 30000));
    int pair[2];
    ASSERT_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
    off_t offset = 1234;
    EXPECT_EQ(sendfile(pair[0], fd, &offset, 100000), 50000 - 1234);
    EXPECT_EQ(offset, 50000);
    EXPECT_EQ(drain(pair[1]), text.substr(1234));
    offset = 0;
    size_t total = 0;
    for (ssize_t sent; (sent = sendfile(pair[0], fd, &offset, 50000)) > 0; offset = 0) {
        total += static_cast<size_t>(sent);
    }
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(drain(pair[1]).size(), total);
    close(fd);
    close(pair[0]);
    close(pair[1]);
}

TEST_F(SpliceTest, PacketsStayPackets) {
    int packets[2];
    ASSERT_OK(pipe2(packets, O_DIRECT | O_NONBLOCK));
    EXPECT_EQ(write(packets[1], "first", 5), 5);
    EXPECT_EQ(write(packets[1], "second", 6), 6);
    EXPECT_EQ(pending(packets[0]), 11);
    EXPECT_EQ(splice(packets[0], nullptr, two_[1], nullptr, 5, 0), 5);
    char buffer[32];
    EXPECT_EQ(read(packets[0], buffer, 2), 2);
    EXPECT_ERRNO(read(packets[0], buffer, 2), EAGAIN);
    EXPECT_EQ(drain(two_[0]), "first");
    std::vector<char> large(10000, 'x');
    EXPECT_EQ(write(packets[1], large.data(), large.size()), 10000);
    EXPECT_EQ(read(packets[0], large.data(), large.size()), 4096);
    EXPECT_EQ(read(packets[0], large.data(), large.size()), 4096);
    EXPECT_EQ(read(packets[0], large.data(), large.size()), 10000 - 8192);
    close(packets[0]);
    close(packets[1]);
}

TEST_F(SpliceTest, FifosKeepTimes) {
    ASSERT_OK(mkfifo("fifo", 0600));
    int fd = open("fifo", O_RDWR);
    struct stat before, after;
    ASSERT_OK(stat("fifo", &before));
    usleep(30000);
    EXPECT_EQ(write(fd, "x", 1), 1);
    ASSERT_OK(stat("fifo", &after));
    auto ns = [](const timespec& time) { return time.tv_sec * 1000000000L + time.tv_nsec; };
    EXPECT_GT(ns(after.st_mtim), ns(before.st_mtim) + 10000000);
    EXPECT_EQ(ns(after.st_mtim), ns(after.st_ctim));
    close(fd);
}

}  // namespace
