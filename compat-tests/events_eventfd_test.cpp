// eventfd, eventfd2.
#include <sys/eventfd.h>
#include <sys/uio.h>

#include <atomic>
#include <thread>
#include <vector>

#include "events_support.h"

namespace {

constexpr uint64_t kMost = UINT64_MAX - 1;

ssize_t put(int fd, uint64_t value) {
    return write(fd, &value, sizeof(value));
}
uint64_t take(int fd) {
    uint64_t value = 0;
    EXPECT_EQ(read(fd, &value, sizeof(value)), 8) << strerror(errno);
    return value;
}

TEST(EventFd, CountsUpAndIsTakenAtOnce) {
    int fd = eventfd(3, 0);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(take(fd), 3u);
    EXPECT_EQ(put(fd, 5), 8);
    EXPECT_EQ(put(fd, 7), 8);
    EXPECT_EQ(take(fd), 12u);
    close(fd);
}

TEST(EventFd, TheOldCallHasNoFlags) {
    int fd = static_cast<int>(syscall(SYS_eventfd, 9));
    ASSERT_GE(fd, 0);
    EXPECT_EQ(take(fd), 9u);
    EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR);
    EXPECT_EQ(fcntl(fd, F_GETFD), 0);
    close(fd);
}

TEST(EventFd, FlagsReachTheFile) {
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(name_of(fd), "anon_inode:[eventfd]");
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_EQ(st.st_mode & 0777, 0600u);
    close(fd);
    EXPECT_ERRNO(eventfd(0, 2), EINVAL);
    EXPECT_ERRNO(eventfd(0, O_APPEND), EINVAL);
}

TEST(EventFd, SemaphoreGivesOneAtATime) {
    int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    EXPECT_EQ(take(fd), 1u);
    EXPECT_EQ(take(fd), 1u);
    uint64_t value;
    EXPECT_ERRNO(read(fd, &value, 8), EAGAIN);
    close(fd);
}

TEST(EventFd, RefusesToOverflow) {
    int fd = eventfd(0, EFD_NONBLOCK);
    EXPECT_EQ(put(fd, kMost), 8);
    EXPECT_EQ(poll_now(fd), POLLIN);
    EXPECT_EQ(put(fd, 0), 8);
    EXPECT_ERRNO(put(fd, 1), EAGAIN);
    EXPECT_ERRNO(put(fd, UINT64_MAX), EINVAL);
    EXPECT_EQ(take(fd), kMost);
    EXPECT_EQ(poll_now(fd), POLLOUT);
    EXPECT_EQ(put(fd, kMost - 1), 8);
    EXPECT_EQ(poll_now(fd), POLLIN | POLLOUT);
    close(fd);
}

TEST(EventFd, SizesAndPointers) {
    int fd = eventfd(1, EFD_NONBLOCK);
    char bytes[16];
    EXPECT_ERRNO(read(fd, bytes, 7), EINVAL);
    EXPECT_ERRNO(write(fd, bytes, 7), EINVAL);
    EXPECT_EQ(read(fd, bytes, 16), 8);
    EXPECT_ERRNO(write(fd, bad_pointer(), 8), EFAULT);
    EXPECT_ERRNO(write(fd, kernel_pointer(), 8), EFAULT);
    EXPECT_EQ(put(fd, 4), 8);
    EXPECT_ERRNO(read(fd, bad_pointer(), 8), EFAULT);
    EXPECT_ERRNO(read(fd, bytes, 8), EAGAIN);  // what could not be copied is lost
    EXPECT_ERRNO(pread(fd, bytes, 8, 0), ESPIPE);
    EXPECT_EQ(lseek(fd, 100, SEEK_SET), 0);
    EXPECT_ERRNO(ftruncate(fd, 0), EINVAL);
    uint64_t added = 6;
    iovec parts[] = {{&added, 8}};
    EXPECT_EQ(writev(fd, parts, 1), 8);
    EXPECT_EQ(take(fd), 6u);
    close(fd);
}

int waiting_fd;

TEST(EventFd, ReadWaitsForAWrite) {
    waiting_fd = eventfd(0, 0);
    AfterDelay later(
        10 * kMs, [] { put(waiting_fd, 77); }, SA_RESTART);
    EXPECT_EQ(take(waiting_fd), 77u);
    close(waiting_fd);
}

TEST(EventFd, WriteWaitsForRoom) {
    waiting_fd = eventfd(0, 0);
    EXPECT_EQ(put(waiting_fd, kMost), 8);
    AfterDelay later(
        10 * kMs, [] { take(waiting_fd); }, SA_RESTART);
    EXPECT_EQ(put(waiting_fd, 5), 8);
    EXPECT_EQ(take(waiting_fd), 5u);
    close(waiting_fd);
}

TEST(EventFd, SignalsInterrupt) {
    int fd = eventfd(0, 0);
    AfterDelay later(10 * kMs, [] {});
    uint64_t value;
    EXPECT_ERRNO(read(fd, &value, 8), EINTR);
    close(fd);
}

TEST(EventFdThreads, EveryReaderOfASemaphoreGetsOne) {
    constexpr int kReaders = 8, kEach = 50;
    int fd = eventfd(0, EFD_SEMAPHORE);
    std::vector<std::thread> readers;
    std::atomic<int> taken{0};
    for (int i = 0; i < kReaders; i++) {
        readers.emplace_back([&] {
            for (int j = 0; j < kEach; j++) {
                EXPECT_EQ(take(fd), 1u);
                taken++;
            }
        });
    }
    for (int i = 0; i < kReaders * kEach / 4; i++) {
        EXPECT_EQ(put(fd, 4), 8);
        if (i % 10 == 0) sched_yield();
    }
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(taken, kReaders * kEach);
    EXPECT_EQ(poll_now(fd), POLLOUT);
    close(fd);
}

TEST(EventFdThreads, WritersWaitForReaders) {
    constexpr int kCount = 100;
    int fd = eventfd(0, 0);
    std::thread writer([&] {
        for (int i = 0; i < kCount; i++) EXPECT_EQ(put(fd, kMost), 8);
    });
    for (int i = 0; i < kCount; i++) EXPECT_EQ(take(fd), kMost);
    writer.join();
    close(fd);
}

TEST(EventFd, ShowsItsCount) {
    int fd = eventfd(0x1234, 0);
    EXPECT_NE(info_of(fd).find("eventfd-count:             1234\n"), std::string::npos)
        << info_of(fd);
    close(fd);
}

}  // namespace
