// poll, ppoll, select and pselect6 on event descriptors, from several threads, and through signals
// and stops.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/select.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "events_support.h"
#include "when_calm.h"

namespace {

constexpr int kLongMs = 60'000;

void put(int fd) {
    uint64_t one = 1;
    EXPECT_EQ(write(fd, &one, 8), 8);
}

// Does something from another thread after some time.
template <typename Action>
std::thread after(int64_t delay_ns, Action action) {
    return std::thread([=] {
        // Signals are for the main thread.
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, nullptr);
        timespec delay = to_timespec(delay_ns);
        nanosleep(&delay, nullptr);
        action();
    });
}

TEST(PollThreads, AnotherThreadWakesIt) {
    int fd = eventfd(0, 0);
    std::thread writer = after(10 * kMs, [=] { put(fd); });
    pollfd polls[] = {{-1, POLLIN, 0}, {fd, POLLIN, 0}};
    EXPECT_EQ(poll(polls, 2, -1), 1);
    EXPECT_EQ(polls[1].revents, POLLIN);
    writer.join();
    close(fd);
}

TEST(PollThreads, ManyDescriptorsAndEitherCall) {
    std::vector<int> fds;
    for (int i = 0; i < 40; i++) fds.push_back(eventfd(0, EFD_NONBLOCK));
    for (int chosen : {fds[0], fds[17], fds[39]}) {
        std::vector<pollfd> polls;
        for (int fd : fds) polls.push_back({fd, POLLIN, 0});
        std::thread writer = after(5 * kMs, [=] { put(chosen); });
        EXPECT_EQ(poll(polls.data(), polls.size(), kLongMs), 1);
        for (const pollfd& one : polls) EXPECT_EQ(one.revents, one.fd == chosen ? POLLIN : 0);
        writer.join();
        fd_set set;
        FD_ZERO(&set);
        for (int fd : fds) FD_SET(fd, &set);
        EXPECT_EQ(select(fds.back() + 1, &set, nullptr, nullptr, nullptr), 1);
        EXPECT_TRUE(FD_ISSET(chosen, &set));
        uint64_t count;
        EXPECT_EQ(read(chosen, &count, 8), 8);
    }
    for (int fd : fds) close(fd);
}

TEST(PollThreads, AClosedDescriptorStaysWatched) {
    int ends[2];
    ASSERT_OK(pipe(ends));
    std::thread closer = after(5 * kMs, [&] {
        close(ends[0]);
        close(ends[1]);
    });
    pollfd one = {ends[0], POLLIN, 0};
    // The file stays open until the call is over; the end of its writer is told.
    int count = poll(&one, 1, 200);
    EXPECT_TRUE(count == 0 || count == 1);
    closer.join();
}

TEST(PollThreads, EpollWaitersShareTheEvents) {
    int epoll = epoll_create1(0);
    std::vector<int> fds;
    constexpr int kCount = 200;
    for (int i = 0; i < kCount; i++) {
        fds.push_back(eventfd(0, EFD_NONBLOCK));
        epoll_event event = {EPOLLIN | EPOLLET, {.fd = fds.back()}};
        ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds.back(), &event));
    }
    std::atomic<int> taken{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            while (taken < kCount) {
                epoll_event events[3];
                int count = epoll_wait(epoll, events, 3, 20);
                for (int j = 0; j < count; j++) {
                    uint64_t value;
                    EXPECT_EQ(read(events[j].data.fd, &value, 8), 8);
                    taken++;
                }
            }
        });
    }
    for (int fd : fds) put(fd);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(taken, kCount) << "every edge is told once";
    for (int fd : fds) close(fd);
    close(epoll);
}

TEST(PollThreads, ExclusiveWakesOneEpoll) {
    // Only those that already wait leave the others alone.
    EXPECT_TRUE(when_calm([] {
        int fd = eventfd(0, EFD_NONBLOCK), end = eventfd(0, 0);
        std::atomic<int> woken{0}, waiting{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < 4; i++) {
            threads.emplace_back([&] {
                int epoll = epoll_create1(0);
                epoll_event event = {EPOLLIN | EPOLLEXCLUSIVE | EPOLLET, {.fd = fd}};
                EXPECT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
                event = {EPOLLIN, {.fd = end}};
                EXPECT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, end, &event));
                waiting++;
                do {
                    EXPECT_EQ(epoll_wait(epoll, &event, 1, -1), 1);
                    if (event.data.fd == fd) woken++;
                } while (event.data.fd != end);
                close(epoll);
            });
        }
        while (waiting < 4) usleep(1000);
        usleep(50000);
        put(fd);
        while (woken == 0) usleep(1000);
        usleep(50000);
        put(end);
        for (std::thread& thread : threads) thread.join();
        close(fd);
        close(end);
        return woken < 4;
    }));
}

TEST(PollThreads, AddingFromAnotherThreadWakes) {
    int epoll = epoll_create1(0), fd = eventfd(1, 0);
    std::thread adder = after(10 * kMs, [=] {
        epoll_event event = {EPOLLIN, {.fd = fd}};
        EXPECT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    });
    epoll_event event;
    EXPECT_EQ(epoll_wait(epoll, &event, 1, kLongMs), 1);
    adder.join();
    close(epoll);
    close(fd);
}

// Ignored signals, and those with the default of being ignored, end no wait; a blocked one neither.
TEST(PollSignals, OnlyHandlersEndTheWait) {
    pollfd one = {-1, 0, 0};
    signal(SIGWINCH, SIG_DFL);
    pthread_t self = pthread_self();
    std::thread sender = after(5 * kMs, [=] { pthread_kill(self, SIGWINCH); });
    int64_t start = now_ns();
    EXPECT_EQ(poll(&one, 1, 30), 0);
    EXPECT_GE(now_ns() - start, 30 * kMs);
    sender.join();
    // SA_RESTART restarts none of these.
    AfterDelay later(
        5 * kMs, [] {}, SA_RESTART);
    timespec timeout = {kLongMs / 1000, 0};
    EXPECT_ERRNO(ppoll(&one, 1, &timeout, nullptr), EINTR);
}

// Sends itself a signal after some time, even when it is stopped then. A machine that stands still
// may get SIGCONT first, so it comes again.
class SignalLater {
  public:
    SignalLater(int signo, int64_t delay_ns) {
        sigevent event = {};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = signo;
        EXPECT_OK(timer_create(CLOCK_MONOTONIC, &event, &timer_));
        itimerspec spec = {to_timespec(300 * kMs), to_timespec(delay_ns)};
        EXPECT_OK(timer_settime(timer_, 0, &spec, nullptr));
    }
    ~SignalLater() { timer_delete(timer_); }

  private:
    timer_t timer_;
};

TEST(PollSignals, AStopLetsItGoOnWithTheRest) {
    constexpr int64_t kWait = 200 * kMs;
    pollfd one = {-1, 0, 0};
    const std::function<int()> calls[] = {
        [&] { return poll(&one, 1, kWait / kMs); },
        [&] {
            timespec left = to_timespec(kWait);
            return static_cast<int>(syscall(SYS_ppoll, &one, 1, &left, nullptr, 8));
        },
        [&] {
            timeval left = {0, kWait / 1000};
            return select(0, nullptr, nullptr, nullptr, &left);
        },
    };
    // poll goes on until the same moment; for the others, the time stands still during the stop.
    int64_t most = kWait + 40 * kMs;
    for (const auto& call : calls) {
        EXPECT_TRUE(when_calm([&] {
            SignalLater go_on(SIGCONT, 150 * kMs), stop(SIGSTOP, 100 * kMs);
            int64_t start = now_ns();
            EXPECT_EQ(call(), 0);
            EXPECT_GE(now_ns() - start, kWait);
            return now_ns() - start < most;
        }));
        most = kWait + 90 * kMs;
    }
    // epoll_wait does not.
    int epoll = epoll_create1(0);
    EXPECT_TRUE(when_calm([&] {
        SignalLater go_on(SIGCONT, 40 * kMs), stop(SIGSTOP, 20 * kMs);
        epoll_event event;
        return epoll_wait(epoll, &event, 1, 200) == -1 && errno == EINTR;
    }));
    close(epoll);
}

TEST(PollSignals, TheTimeLeftIsToldAfterASignal) {
    int fd = eventfd(0, 0);
    {
        AfterDelay later(20 * kMs, [] {});
        timespec left = {kLongMs / 1000, 0};
        pollfd one = {fd, POLLIN, 0};
        const int64_t start = now_ns();
        EXPECT_ERRNO(syscall(SYS_ppoll, &one, 1, &left, nullptr, 8), EINTR);
        const int64_t left_ns = left.tv_sec * 1000 * kMs + left.tv_nsec;
        EXPECT_LT(left_ns, kLongMs * kMs);
        EXPECT_GE(left_ns, kLongMs * kMs - (now_ns() - start));
    }
    AfterDelay later(20 * kMs, [] {});
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    timeval left = {kLongMs / 1000, 0};
    const int64_t start = now_ns();
    EXPECT_ERRNO(select(fd + 1, &set, nullptr, nullptr, &left), EINTR);
    const int64_t left_us = left.tv_sec * 1'000'000 + left.tv_usec;
    EXPECT_LT(left_us, kLongMs * 1000);
    EXPECT_GE(left_us, kLongMs * 1000 - (now_ns() - start) / 1000 - 1);
    EXPECT_TRUE(FD_ISSET(fd, &set)) << "the sets stay as they were";
    close(fd);
}

TEST(PollSignals, StickyTimeouts) {
    const int old = personality(0xffffffff);
    ASSERT_GE(personality(static_cast<unsigned long>(old) | STICKY_TIMEOUTS), 0);
    timeval left = {0, 5000};
    EXPECT_EQ(select(0, nullptr, nullptr, nullptr, &left), 0);
    EXPECT_EQ(left.tv_usec, 5000);
    personality(static_cast<unsigned long>(old));
    EXPECT_EQ(select(0, nullptr, nullptr, nullptr, &left), 0);
    EXPECT_EQ(left.tv_usec, 0);
}

TEST(PollSignals, ATimeInReadOnlyMemoryIsLeftAlone) {
    static const timespec kShort = {0, 2000000};
    EXPECT_EQ(syscall(SYS_ppoll, nullptr, 0, &kShort, nullptr, 8), 0);
    static const timespec kZero = {0, 0};
    EXPECT_EQ(syscall(SYS_ppoll, nullptr, 0, &kZero, nullptr, 8), 0);
}

TEST(PollErrors, Pselect) {
    struct {
        const void* set;
        size_t size;
    } mask = {nullptr, 0};
    timespec zero = {0, 0};
    EXPECT_EQ(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &zero, &mask), 0);
    sigset_t set;
    sigemptyset(&set);
    mask = {&set, 4};
    EXPECT_ERRNO(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &zero, &mask), EINVAL);
    mask = {bad_pointer(), 8};
    EXPECT_ERRNO(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &zero, &mask), EFAULT);
    EXPECT_ERRNO(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &zero, bad_pointer()), EFAULT);
    EXPECT_ERRNO(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, bad_pointer(), nullptr),
                 EFAULT);
    timespec wrong = {0, -1};
    EXPECT_ERRNO(syscall(SYS_pselect6, 0, nullptr, nullptr, nullptr, &wrong, nullptr), EINVAL);
}

}  // namespace
