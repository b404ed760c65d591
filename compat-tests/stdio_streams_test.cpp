// Standard input, output and error as they were handed over: pipes, mostly (man 7 pipe).
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

class StandardStream : public testing::TestWithParam<int> {
  protected:
    void SetUp() override {
        struct stat status;
        ASSERT_EQ(fstat(GetParam(), &status), 0);
        if (!S_ISFIFO(status.st_mode)) GTEST_SKIP() << "not a pipe here";
    }
    int fd() const { return GetParam(); }
};

TEST_P(StandardStream, IsNoTerminalAndHasNoPosition) {
    EXPECT_EQ(isatty(fd()), 0);
    EXPECT_EQ(errno, ENOTTY);
    EXPECT_EQ(lseek(fd(), 0, SEEK_CUR), -1);
    EXPECT_EQ(errno, ESPIPE);
    char byte = 0;
    if (fd() == STDIN_FILENO) {
        EXPECT_EQ(pread(fd(), &byte, 1, 0), -1);
    } else {
        EXPECT_EQ(pwrite(fd(), &byte, 1, 0), -1);
    }
    EXPECT_EQ(errno, ESPIPE);
}

TEST_P(StandardStream, CannotBeMappedTruncatedOrSynced) {
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE, fd(), 0), MAP_FAILED);
    EXPECT_EQ(errno, fd() == STDIN_FILENO ? ENODEV : EACCES);
    EXPECT_EQ(ftruncate(fd(), 0), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(fsync(fd()), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_P(StandardStream, TellsHowMuchIsThere) {
    int count = -1;
    EXPECT_EQ(ioctl(fd(), FIONREAD, &count), 0);
    EXPECT_GE(count, 0);
    EXPECT_EQ(ioctl(fd(), FIONREAD, nullptr), -1);
    EXPECT_EQ(errno, EFAULT);
}

TEST_P(StandardStream, KeepsItsFlags) {
    int flags = fcntl(fd(), F_GETFL);
    ASSERT_GE(flags, 0);
    EXPECT_EQ(flags & O_ACCMODE, fd() == STDIN_FILENO ? O_RDONLY : O_WRONLY);
    ASSERT_EQ(fcntl(fd(), F_SETFL, flags | O_NONBLOCK), 0);
    EXPECT_TRUE(fcntl(fd(), F_GETFL) & O_NONBLOCK);
    ASSERT_EQ(fcntl(fd(), F_SETFL, flags), 0);
}

INSTANTIATE_TEST_SUITE_P(, StandardStream, testing::Values(0, 1, 2));

class OutputStream : public StandardStream {};

TEST_P(OutputStream, CanOnlyBeWritten) {
    char byte;
    EXPECT_EQ(read(fd(), &byte, 1), -1);
    EXPECT_EQ(errno, EBADF);
}

TEST_P(OutputStream, IsReadyToWrite) {
    pollfd entry = {fd(), POLLOUT, 0};
    EXPECT_EQ(poll(&entry, 1, 2000), 1);
    EXPECT_EQ(entry.revents, POLLOUT);
}

TEST_P(OutputStream, RefusesHostilePointers) {
    char* volatile nowhere = reinterpret_cast<char*>(8);
    volatile int too_few = -1;
    EXPECT_EQ(write(fd(), nowhere, 10), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(write(fd(), "", 0), 0);
    iovec part = {const_cast<char*>("#\n"), 2};
    EXPECT_EQ(writev(fd(), &part, too_few), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(writev(fd(), &part, 1), 2);
}

INSTANTIATE_TEST_SUITE_P(, OutputStream, testing::Values(1, 2));

}  // namespace
