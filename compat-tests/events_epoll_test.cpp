// epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2: events and
// waiting.
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "events_epoll_support.h"
#include "when_calm.h"

namespace {

TEST_F(Epoll, Create) {
    EXPECT_EQ(fcntl(epoll_, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(epoll_, F_GETFL), O_RDWR);
    EXPECT_EQ(name_of(epoll_), "anon_inode:[eventpoll]");
    EXPECT_ERRNO(epoll_create1(1), EINVAL);
    EXPECT_ERRNO(epoll_create(0), EINVAL);
    EXPECT_ERRNO(epoll_create(-1), EINVAL);
    EXPECT_EQ(fcntl(keep(epoll_create(1)), F_GETFD), 0);
    char byte;
    EXPECT_ERRNO(read(epoll_, &byte, 1), EINVAL);
    EXPECT_ERRNO(write(epoll_, "x", 1), EINVAL);
}

TEST_F(Epoll, LevelTriggeredStaysReady) {
    int fd = event_file();
    ASSERT_OK(add(fd, EPOLLIN));
    EXPECT_EQ(ready(), Fds{});
    put(fd);
    EXPECT_EQ(ready(), Fds{fd});
    EXPECT_EQ(ready(), Fds{fd});
    epoll_event event;
    ASSERT_EQ(epoll_wait(epoll_, &event, 1, -1), 1);
    EXPECT_EQ(event.events, static_cast<uint32_t>(EPOLLIN));
    EXPECT_EQ(event.data.u64, data_of(fd));
    drain(fd);
    EXPECT_EQ(ready(), Fds{});
}

TEST_F(Epoll, ReadyAtOnceWhenAdded) {
    int fd = event_file(1);
    ASSERT_OK(add(fd, EPOLLIN | EPOLLOUT));
    EXPECT_EQ(events_now(), static_cast<uint32_t>(EPOLLIN | EPOLLOUT));
}

TEST_F(Epoll, EdgeTriggeredTellsOnce) {
    int fd = event_file();
    ASSERT_OK(add(fd, EPOLLIN | EPOLLET));
    put(fd);
    EXPECT_EQ(ready(), Fds{fd});
    EXPECT_EQ(ready(), Fds{});
    put(fd);
    EXPECT_EQ(ready(), Fds{fd}) << "a new edge, though it was never read";
    drain(fd);
    put(fd);
    EXPECT_EQ(ready(), Fds{fd});
    // A modification looks again.
    ASSERT_OK(modify(fd, EPOLLIN | EPOLLET));
    EXPECT_EQ(ready(), Fds{fd});
    EXPECT_EQ(ready(), Fds{});
}

TEST_F(Epoll, EdgesOfPipes) {
    int ends[2];
    ASSERT_OK(pipe2(ends, O_NONBLOCK));
    keep(ends[0]);
    keep(ends[1]);
    ASSERT_OK(add(ends[0], EPOLLIN | EPOLLET));
    ASSERT_OK(add(ends[1], EPOLLOUT | EPOLLET));
    EXPECT_EQ(ready(), Fds{ends[1]});
    EXPECT_EQ(write(ends[1], "abc", 3), 3);
    EXPECT_EQ(ready(), Fds{ends[0]});
    char bytes[4];
    EXPECT_EQ(read(ends[0], bytes, 1), 1);
    EXPECT_EQ(ready(), Fds{}) << "reading is no edge for readers, nor for writers with room";
    EXPECT_EQ(write(ends[1], "d", 1), 1);
    EXPECT_EQ(ready(), Fds{ends[0]});
    std::string much(200000, 'x');
    EXPECT_GT(write(ends[1], much.data(), much.size()), 60000);
    EXPECT_EQ(ready(), Fds{ends[0]});
    EXPECT_GT(read(ends[0], much.data(), 30000), 0);
    EXPECT_EQ(ready(), Fds{ends[1]}) << "room in a full pipe is an edge";
}

TEST_F(Epoll, OneShotSleepsUntilModified) {
    int fd = event_file(1);
    ASSERT_OK(add(fd, EPOLLIN | EPOLLONESHOT));
    EXPECT_EQ(ready(), Fds{fd});
    EXPECT_EQ(ready(), Fds{});
    put(fd);
    EXPECT_EQ(ready(), Fds{});
    ASSERT_OK(modify(fd, EPOLLIN | EPOLLONESHOT));
    EXPECT_EQ(ready(), Fds{fd});
    EXPECT_EQ(ready(), Fds{});
}

TEST_F(Epoll, ErrorsAndHangUpsAreAlwaysTold) {
    int ends[2];
    ASSERT_OK(pipe(ends));
    keep(ends[0]);
    ASSERT_OK(add(ends[0], 0));
    EXPECT_EQ(events_now(), 0u);
    close(ends[1]);
    EXPECT_EQ(events_now(), static_cast<uint32_t>(EPOLLHUP));
    int other[2];
    ASSERT_OK(pipe(other));
    keep(other[1]);
    ASSERT_OK(epoll_ctl(epoll_, EPOLL_CTL_DEL, ends[0], nullptr));
    ASSERT_OK(add(other[1], EPOLLET));
    close(other[0]);
    EXPECT_EQ(events_now(), static_cast<uint32_t>(EPOLLERR));
}

TEST_F(Epoll, OneShotTellsNoHangUp) {
    int ends[2];
    ASSERT_OK(pipe(ends));
    keep(ends[0]);
    ASSERT_OK(add(ends[0], EPOLLIN | EPOLLONESHOT));
    EXPECT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(events_now(), static_cast<uint32_t>(EPOLLIN));
    close(ends[1]);
    EXPECT_EQ(events_now(), 0u);
}

TEST_F(Epoll, ControlErrors) {
    int fd = event_file();
    ASSERT_OK(add(fd, EPOLLIN));
    EXPECT_ERRNO(add(fd, EPOLLIN), EEXIST);
    int other = event_file();
    EXPECT_ERRNO(modify(other, EPOLLIN), ENOENT);
    EXPECT_ERRNO(epoll_ctl(epoll_, EPOLL_CTL_DEL, other, nullptr), ENOENT);
    ASSERT_OK(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr));
    EXPECT_ERRNO(epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr), ENOENT);
    EXPECT_ERRNO(add(-1, EPOLLIN), EBADF);
    EXPECT_ERRNO(add(1000, EPOLLIN), EBADF);
    epoll_event event = {};
    EXPECT_ERRNO(epoll_ctl(-1, EPOLL_CTL_ADD, fd, &event), EBADF);
    EXPECT_ERRNO(epoll_ctl(other, EPOLL_CTL_ADD, fd, &event), EINVAL);
    EXPECT_ERRNO(epoll_ctl(epoll_, EPOLL_CTL_ADD, epoll_, &event), EINVAL);
    EXPECT_ERRNO(epoll_ctl(epoll_, 7, fd, &event), EINVAL);
    auto* bad = reinterpret_cast<epoll_event*>(bad_pointer());
    EXPECT_ERRNO(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, bad), EFAULT);
    EXPECT_ERRNO(epoll_ctl(-1, EPOLL_CTL_MOD, fd, bad), EFAULT);
    EXPECT_ERRNO(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, nullptr), EFAULT);
}

TEST_F(Epoll, OnlyWhatCanBePolled) {
    int file = keep(open("file", O_CREAT | O_RDWR, 0644));
    int directory = keep(open(".", O_RDONLY | O_DIRECTORY));
    int null = keep(open("/dev/null", O_RDWR));
    EXPECT_ERRNO(add(file, EPOLLIN), EPERM);
    EXPECT_ERRNO(add(directory, EPOLLIN), EPERM);
    EXPECT_ERRNO(add(null, EPOLLIN), EPERM);
    int path = keep(open("file", O_PATH));
    EXPECT_ERRNO(add(path, EPOLLIN), EBADF);
}

TEST_F(Epoll, WaitErrors) {
    epoll_event event;
    EXPECT_ERRNO(epoll_wait(epoll_, &event, 0, 0), EINVAL);
    EXPECT_ERRNO(epoll_wait(epoll_, &event, opaque(-1), 0), EINVAL);
    EXPECT_ERRNO(epoll_wait(epoll_, &event, opaque(INT32_MAX), 0), EINVAL);
    EXPECT_ERRNO(epoll_wait(-1, &event, 1, 0), EBADF);
    EXPECT_ERRNO(epoll_wait(event_file(), &event, 1, 0), EINVAL);
    auto* kernel = reinterpret_cast<epoll_event*>(kernel_pointer());
    EXPECT_ERRNO(epoll_wait(epoll_, kernel, 1, 0), EFAULT);
    auto* bad = reinterpret_cast<epoll_event*>(bad_pointer());
    EXPECT_EQ(epoll_wait(epoll_, bad, 1, 0), 0) << "nothing is written";
    int fd = event_file(1);
    ASSERT_OK(add(fd, EPOLLIN | EPOLLET));
    EXPECT_ERRNO(epoll_wait(epoll_, bad, 1, 0), EFAULT);
    EXPECT_EQ(ready(), Fds{fd}) << "what could not be told is still ready";
    EXPECT_ERRNO(syscall(SYS_epoll_pwait, epoll_, &event, 1, 0, &event, 4), EINVAL);
    EXPECT_ERRNO(syscall(SYS_epoll_pwait, epoll_, &event, 1, 0, bad, 8), EFAULT);
    EXPECT_EQ(syscall(SYS_epoll_pwait, epoll_, &event, 1, 0, nullptr, 4), 0);
}

TEST_F(Epoll, EventsUpToTheEndOfMemory) {
    auto* pages = static_cast<char*>(
        mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_OK(munmap(pages + 4096, 4096));
    std::vector<int> fds;
    for (int i = 0; i < 3; i++) fds.push_back(event_file(1));
    for (int fd : fds) ASSERT_OK(add(fd, EPOLLIN | EPOLLONESHOT));
    auto* two = reinterpret_cast<epoll_event*>(pages + 4096 - 2 * sizeof(epoll_event));
    EXPECT_EQ(epoll_wait(epoll_, two, 3, 0), 2);
    EXPECT_EQ(two[0].data.u64, data_of(fds[0]));
    EXPECT_EQ(two[1].data.u64, data_of(fds[1]));
    EXPECT_EQ(ready(), Fds{fds[2]});
    EXPECT_EQ(ready(), Fds{});
    munmap(pages, 4096);
}

TEST_F(Epoll, WaitsForTheTime) {
    epoll_event event;
    int64_t start = now_ns();
    EXPECT_EQ(epoll_wait(epoll_, &event, 1, 20), 0);
    EXPECT_GE(now_ns() - start, 20 * kMs);
    start = now_ns();
    timespec timeout = {0, 3 * kMs};
    EXPECT_EQ(epoll_pwait2(epoll_, &event, 1, &timeout, nullptr), 0);
    EXPECT_GE(now_ns() - start, 3 * kMs);
    timeout = {0, 0};
    EXPECT_EQ(epoll_pwait2(epoll_, &event, 1, &timeout, nullptr), 0);
    timeout = {0, 1000000000};
    EXPECT_ERRNO(epoll_pwait2(epoll_, &event, 1, &timeout, nullptr), EINVAL);
    timeout = {-1, 0};
    EXPECT_ERRNO(epoll_pwait2(epoll_, &event, 1, &timeout, nullptr), EINVAL);
    EXPECT_ERRNO(syscall(SYS_epoll_pwait2, epoll_, &event, 1, bad_pointer(), nullptr, 8), EFAULT);
}

constexpr int kLongMs = 60'000;
int written_fd;

TEST_F(Epoll, WakesUp) {
    written_fd = event_file();
    ASSERT_OK(add(written_fd, EPOLLIN));
    // The handler runs first, and the event that it made does not go before the signal.
    EXPECT_TRUE(when_calm([&] {
        AfterDelay later(
            10 * kMs, [] { put(written_fd); }, SA_RESTART);
        epoll_event event;
        int count = epoll_wait(epoll_, &event, 1, kLongMs);
        EXPECT_TRUE(count == 1 || (count == -1 && errno == EINTR)) << count;
        EXPECT_EQ(epoll_wait(epoll_, &event, 1, kLongMs), 1);
        drain(written_fd);
        return count == -1;
    }));
}

TEST_F(Epoll, TimersWakeIt) {
    int timer = keep(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    ASSERT_OK(add(timer, EPOLLIN | EPOLLET));
    itimerspec spec = {{0, 5 * kMs}, {0, 5 * kMs}};
    ASSERT_OK(timerfd_settime(timer, 0, &spec, nullptr));
    epoll_event event;
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(epoll_wait(epoll_, &event, 1, kLongMs), 1);
        EXPECT_EQ(event.data.u64, data_of(timer));
        drain(timer);
    }
    // Without a read there is no further edge.
    ASSERT_EQ(epoll_wait(epoll_, &event, 1, kLongMs), 1);
    EXPECT_EQ(epoll_wait(epoll_, &event, 1, 20), 0);
}

TEST_F(Epoll, SignalsInterruptAndComeThroughTheMask) {
    {
        AfterDelay later(
            10 * kMs, [] {}, SA_RESTART);
        epoll_event event;
        EXPECT_ERRNO(epoll_wait(epoll_, &event, 1, kLongMs), EINTR);
    }
    AfterDelay later(5 * kMs, [] {});
    sigset_t alarm, none;
    sigemptyset(&none);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, nullptr);
    epoll_event event;
    EXPECT_EQ(epoll_wait(epoll_, &event, 1, 20), 0);
    EXPECT_ERRNO(epoll_pwait(epoll_, &event, 1, kLongMs, &none), EINTR);
    sigset_t now;
    sigprocmask(SIG_UNBLOCK, &alarm, &now);
    EXPECT_TRUE(sigismember(&now, SIGALRM));
}

TEST_F(Epoll, SignalFd) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    int fd = keep(signalfd(-1, &set, SFD_NONBLOCK));
    ASSERT_OK(add(fd, EPOLLIN));
    EXPECT_EQ(ready(), Fds{});
    kill(getpid(), SIGUSR1);
    EXPECT_EQ(ready(), Fds{fd});
    signalfd_siginfo info;
    EXPECT_EQ(read(fd, &info, sizeof(info)), 128);
    EXPECT_EQ(ready(), Fds{});
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

}  // namespace
