// dup, fcntl, flock, ioctl, memfd_create.
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "files_support.h"

namespace {

class FcntlTest : public FilesTest {
  protected:
    FcntlTest() { fd_ = open("file", O_CREAT | O_RDWR, 0644); }
    ~FcntlTest() override { close(fd_); }
    int fd_;
};

TEST_F(FcntlTest, DuplicatesShareThePosition) {
    ASSERT_EQ(write(fd_, "0123456789", 10), 10);
    int copy = dup(fd_);
    ASSERT_GE(copy, 0);
    EXPECT_EQ(lseek(copy, 3, SEEK_SET), 3);
    EXPECT_EQ(lseek(fd_, 0, SEEK_CUR), 3);
    EXPECT_EQ(dup2(fd_, copy), copy);
    EXPECT_EQ(dup2(fd_, fd_), fd_);
    EXPECT_EQ(dup2(fd_, 100), 100);
    EXPECT_ERRNO(dup2(99, 101), EBADF);
    EXPECT_ERRNO(dup2(99, 99), EBADF);
    EXPECT_ERRNO(dup2(fd_, -1), EBADF);
    EXPECT_ERRNO(dup2(fd_, 1 << 30), EBADF);
    EXPECT_ERRNO(dup3(fd_, fd_, 0), EINVAL);
    EXPECT_ERRNO(dup3(fd_, 101, O_APPEND), EINVAL);
    EXPECT_EQ(dup3(fd_, 100, O_CLOEXEC), 100);
    EXPECT_EQ(fcntl(100, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd_, F_GETFD), 0);
    EXPECT_EQ(fcntl(fd_, F_DUPFD, 200), 200);
    EXPECT_EQ(fcntl(fd_, F_DUPFD_CLOEXEC, 200), 201);
    EXPECT_EQ(fcntl(201, F_GETFD), FD_CLOEXEC);
    EXPECT_ERRNO(fcntl(fd_, F_DUPFD, -1), EINVAL);
    EXPECT_ERRNO(fcntl(fd_, F_DUPFD, 1 << 30), EINVAL);
    EXPECT_ERRNO(dup(99), EBADF);
    for (int fd : {copy, 100, 200, 201}) EXPECT_OK(close(fd));
}

TEST_F(FcntlTest, FlagsChange) {
    EXPECT_EQ(fcntl(fd_, F_GETFL), O_RDWR | 0100000);
    EXPECT_OK(fcntl(fd_, F_SETFL, O_APPEND | O_NONBLOCK | O_CREAT | O_WRONLY));
    EXPECT_EQ(fcntl(fd_, F_GETFL), O_RDWR | 0100000 | O_APPEND | O_NONBLOCK);
    int off = 0;
    EXPECT_OK(ioctl(fd_, FIONBIO, &off));
    EXPECT_EQ(fcntl(fd_, F_GETFL), O_RDWR | 0100000 | O_APPEND);
    EXPECT_OK(fcntl(fd_, F_SETFD, FD_CLOEXEC));
    EXPECT_EQ(fcntl(fd_, F_GETFD), FD_CLOEXEC);
    EXPECT_OK(ioctl(fd_, FIONCLEX));
    EXPECT_EQ(fcntl(fd_, F_GETFD), 0);
    EXPECT_ERRNO(fcntl(fd_, 9999), EINVAL);
    EXPECT_ERRNO(fcntl(99, F_GETFL), EBADF);
    EXPECT_ERRNO(ioctl(fd_, TIOCGWINSZ, &off), ENOTTY);
    EXPECT_ERRNO(ioctl(99, FIONREAD, &off), EBADF);
    EXPECT_ERRNO(ioctl(fd_, FIONBIO, bad_pointer()), EFAULT);
    ASSERT_EQ(pwrite(fd_, "0123456789", 10, 0), 10);
    ASSERT_EQ(lseek(fd_, 4, SEEK_SET), 4);
    int left = 0;
    EXPECT_OK(ioctl(fd_, FIONREAD, &left));
    EXPECT_EQ(left, 6);
}

TEST_F(FcntlTest, ProcessLocksAreThePrograms) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = 10;
    lock.l_len = 10;
    EXPECT_OK(fcntl(fd_, F_SETLK, &lock));
    EXPECT_OK(fcntl(fd_, F_SETLK, &lock));  // one's own lock is no hindrance
    EXPECT_OK(fcntl(fd_, F_GETLK, &lock));
    EXPECT_EQ(lock.l_type, F_UNLCK);
    lock.l_type = 99;
    EXPECT_ERRNO(fcntl(fd_, F_SETLK, &lock), EINVAL);
    lock.l_type = F_RDLCK;
    lock.l_start = -1;
    EXPECT_ERRNO(fcntl(fd_, F_SETLK, &lock), EINVAL);
    EXPECT_ERRNO(fcntl(fd_, F_SETLK, bad_pointer()), EFAULT);
    int reader = open("file", O_RDONLY);
    lock.l_start = 0;
    lock.l_type = F_WRLCK;
    EXPECT_ERRNO(fcntl(reader, F_SETLK, &lock), EBADF);
    close(reader);
}

TEST_F(FcntlTest, DescriptionLocksConflict) {
    int other = open("file", O_RDWR);
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_start = 10;
    lock.l_len = 20;
    ASSERT_OK(fcntl(fd_, F_OFD_SETLK, &lock));
    lock.l_start = 25;
    lock.l_len = 1;
    EXPECT_ERRNO(fcntl(other, F_OFD_SETLK, &lock), EAGAIN);
    EXPECT_OK(fcntl(other, F_OFD_GETLK, &lock));
    EXPECT_EQ(lock.l_type, F_WRLCK);
    EXPECT_EQ(lock.l_start, 10);
    EXPECT_EQ(lock.l_len, 20);
    EXPECT_EQ(lock.l_pid, -1);
    // A part is given back; the two rests stay.
    lock = {};
    lock.l_type = F_UNLCK;
    lock.l_start = 15;
    lock.l_len = 5;
    ASSERT_OK(fcntl(fd_, F_OFD_SETLK, &lock));
    lock.l_type = F_RDLCK;
    EXPECT_OK(fcntl(other, F_OFD_SETLK, &lock));
    lock.l_start = 20;
    EXPECT_ERRNO(fcntl(other, F_OFD_SETLK, &lock), EAGAIN);
    lock.l_start = 14;
    EXPECT_ERRNO(fcntl(other, F_OFD_SETLK, &lock), EAGAIN);
    lock.l_pid = 1;
    EXPECT_ERRNO(fcntl(other, F_OFD_SETLK, &lock), EINVAL);
    close(fd_);
    fd_ = dup(other);
    lock.l_pid = 0;
    EXPECT_OK(fcntl(other, F_OFD_SETLK, &lock));  // the last close released it
    close(other);
}

TEST_F(FcntlTest, FlockExcludes) {
    int other = open("file", O_RDONLY);
    ASSERT_OK(flock(fd_, LOCK_SH));
    EXPECT_OK(flock(other, LOCK_SH | LOCK_NB));
    EXPECT_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    ASSERT_OK(flock(fd_, LOCK_UN));
    EXPECT_OK(flock(other, LOCK_EX | LOCK_NB));
    EXPECT_ERRNO(flock(fd_, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    close(other);
    EXPECT_OK(flock(fd_, LOCK_EX | LOCK_NB));
    EXPECT_ERRNO(flock(fd_, 16), EINVAL);
    EXPECT_ERRNO(flock(99, LOCK_SH), EBADF);
}

TEST_F(FcntlTest, MemoryFilesCanBeSealed) {
    int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    char link[64] = {};
    ASSERT_GT(readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link, 63), 0);
    EXPECT_STREQ(link, "/memfd:name (deleted)");
    ASSERT_EQ(write(fd, "text", 4), 4);
    EXPECT_EQ(fcntl(fd, F_GET_SEALS), 0);
    EXPECT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
    EXPECT_ERRNO(write(fd, "more", 4), EPERM);
    EXPECT_ERRNO(ftruncate(fd, 2), EPERM);
    EXPECT_ERRNO(ftruncate(fd, 20), EPERM);
    EXPECT_EQ(pwrite(fd, "T", 1, 0), 1);
    EXPECT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    EXPECT_ERRNO(pwrite(fd, "T", 1, 0), EPERM);
    EXPECT_EQ(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    EXPECT_EQ(errno, EPERM);
    EXPECT_OK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    EXPECT_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_EQ(st.st_nlink, 0u);
    EXPECT_EQ(st.st_mode, S_IFREG | 0777u);
    close(fd);
    EXPECT_ERRNO(fcntl(fd_, 9998), EINVAL);
    EXPECT_ERRNO(memfd_create("name", 0x8000), EINVAL);
    EXPECT_ERRNO(memfd_create(std::string(250, 'n').c_str(), 0), EINVAL);
    EXPECT_ERRNO(memfd_create(bad_pointer(), 0), EFAULT);
    fd = memfd_create(std::string(249, 'n').c_str(), 0);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL);
    close(fd);
}

}  // namespace
