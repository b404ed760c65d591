// timer_create(2) and its family, by the bare calls: glibc's wrappers hide the kernel's ids.
#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "when_calm.h"

namespace {

constexpr long kMs = 1'000'000, kSecond = 1'000'000'000;

itimerspec setting(long value_ns, long interval_ns = 0) {
    return {{interval_ns / kSecond, interval_ns % kSecond},
            {value_ns / kSecond, value_ns % kSecond}};
}
long ns(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
long now_ns(int clock) {
    timespec time;
    clock_gettime(clock, &time);
    return ns(time);
}
int sys_create(int clock, sigevent* event, int* id) {
    return static_cast<int>(syscall(SYS_timer_create, clock, event, id));
}
int sys_settime(int id, int flags, const itimerspec* value, itimerspec* old = nullptr) {
    return static_cast<int>(syscall(SYS_timer_settime, id, flags, value, old));
}
int sys_gettime(int id, itimerspec* value) {
    return static_cast<int>(syscall(SYS_timer_gettime, id, value));
}
int sys_getoverrun(int id) { return static_cast<int>(syscall(SYS_timer_getoverrun, id)); }
int sys_delete(int id) { return static_cast<int>(syscall(SYS_timer_delete, id)); }

class PosixTimer : public ::testing::Test {
  protected:
    void SetUp() override {
        sigemptyset(&set_);
        sigaddset(&set_, SIGUSR1);
        sigaddset(&set_, SIGALRM);
        sigaddset(&set_, SIGRTMIN + 3);
        ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set_, nullptr));
    }
    void TearDown() override {
        for (int id : made_) sys_delete(id);
        const timespec none = {};
        while (sigtimedwait(&set_, nullptr, &none) > 0) {}
        sigprocmask(SIG_UNBLOCK, &set_, nullptr);
    }

    int make(int clock = CLOCK_MONOTONIC, int notify = SIGEV_SIGNAL, int signo = SIGUSR1) {
        sigevent event = {};
        event.sigev_notify = notify;
        event.sigev_signo = signo;
        event.sigev_value.sival_ptr = reinterpret_cast<void*>(0x1234567887654321);
        event._sigev_un._tid = gettid();
        int id = -1;
        EXPECT_EQ(0, sys_create(clock, &event, &id)) << strerror(errno);
        made_.push_back(id);
        return id;
    }
    // The signal that comes, or 0 after the time.
    int wait(siginfo_t* info, long timeout_ns = 5 * kSecond) {
        const timespec timeout = {timeout_ns / kSecond, timeout_ns % kSecond};
        const int signo = sigtimedwait(&set_, info, &timeout);
        return signo < 0 ? 0 : signo;
    }
    static void spin_ns(long time) {
        const long end = now_ns(CLOCK_THREAD_CPUTIME_ID) + time;
        while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) {}
    }

    sigset_t set_;
    std::vector<int> made_;
};

TEST_F(PosixTimer, SendsItsSignalOnce) {
    const int id = make();
    const long start = now_ns(CLOCK_MONOTONIC);
    const itimerspec value = setting(20 * kMs);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    siginfo_t info = {};
    ASSERT_EQ(SIGUSR1, wait(&info));
    EXPECT_GE(now_ns(CLOCK_MONOTONIC) - start, 20 * kMs);
    EXPECT_EQ(SI_TIMER, info.si_code);
    EXPECT_EQ(id, info.si_timerid);
    EXPECT_EQ(0, info.si_overrun);
    EXPECT_EQ(reinterpret_cast<void*>(0x1234567887654321), info.si_value.sival_ptr);
    itimerspec rest;
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_EQ(0, ns(rest.it_value));
    EXPECT_EQ(0, wait(&info, 30 * kMs));
}

TEST_F(PosixTimer, WithoutAnEventItIsSigalrmWithTheId) {
    int id = -1;
    ASSERT_EQ(0, sys_create(CLOCK_REALTIME, nullptr, &id));
    made_.push_back(id);
    const itimerspec value = setting(kMs);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    siginfo_t info = {};
    ASSERT_EQ(SIGALRM, wait(&info));
    EXPECT_EQ(id, info.si_value.sival_int);
    EXPECT_EQ(id, info.si_timerid);
}

TEST_F(PosixTimer, EveryClockThatHasTimers) {
    for (int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI}) {
        const int id = make(clock);
        itimerspec value = setting(5 * kMs);
        ASSERT_EQ(0, sys_settime(id, 0, &value)) << clock;
        siginfo_t info;
        EXPECT_EQ(SIGUSR1, wait(&info)) << clock;
        value = setting(now_ns(clock) + 5 * kMs);
        ASSERT_EQ(0, sys_settime(id, TIMER_ABSTIME, &value)) << clock;
        EXPECT_EQ(SIGUSR1, wait(&info)) << clock;
        EXPECT_GE(now_ns(clock), ns(value.it_value)) << clock;
        value = setting(1);  // long ago
        ASSERT_EQ(0, sys_settime(id, TIMER_ABSTIME, &value)) << clock;
        EXPECT_EQ(SIGUSR1, wait(&info)) << clock;
    }
}

TEST_F(PosixTimer, CpuTimeClocksRunByWork) {
    for (int clock : {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID}) {
        const int id = make(clock);
        const itimerspec value = setting(30 * kMs);
        siginfo_t info;
        EXPECT_TRUE(when_calm([&] {
            EXPECT_EQ(0, sys_settime(id, 0, &value));
            const bool stood_still = wait(&info, 60 * kMs) == 0;
            itimerspec rest;
            EXPECT_EQ(0, sys_gettime(id, &rest));
            return stood_still && ns(rest.it_value) > 0;
        })) << "asleep";
        const itimerspec off = {};
        ASSERT_EQ(0, sys_settime(id, 0, &off));
        wait(&info, 0);
        const long start = now_ns(clock);
        ASSERT_EQ(0, sys_settime(id, 0, &value));
        sigset_t pending;
        do {
            sigpending(&pending);
        } while (!sigismember(&pending, SIGUSR1) && now_ns(clock) - start < 10 * kSecond);
        EXPECT_GE(now_ns(clock) - start, 30 * kMs);
        EXPECT_EQ(SIGUSR1, wait(&info));
    }
}

TEST_F(PosixTimer, CountsWhatNobodySaw) {
    const int id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3);
    const long start = now_ns(CLOCK_MONOTONIC);
    itimerspec value = setting(5 * kMs, 5 * kMs);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    const timespec pause = {0, 52 * kMs};
    nanosleep(&pause, nullptr);
    siginfo_t info = {};
    ASSERT_EQ(SIGRTMIN + 3, wait(&info));
    const long passed = (now_ns(CLOCK_MONOTONIC) - start) / (5 * kMs);
    EXPECT_GE(info.si_overrun, 8);
    EXPECT_LE(info.si_overrun, passed);
    EXPECT_EQ(info.si_overrun, sys_getoverrun(id));
    const long first = 1 + info.si_overrun;
    ASSERT_EQ(SIGRTMIN + 3, wait(&info)) << "goes on";
    EXPECT_LE(first + 1 + info.si_overrun, (now_ns(CLOCK_MONOTONIC) - start) / (5 * kMs));
    value = setting(0);
    itimerspec old;
    ASSERT_EQ(0, sys_settime(id, 0, &value, &old));
    EXPECT_EQ(5 * kMs, ns(old.it_interval));
    EXPECT_GT(ns(old.it_value), 0);
    EXPECT_LE(ns(old.it_value), 5 * kMs);
    wait(&info, kMs);
    EXPECT_EQ(0, wait(&info, 20 * kMs)) << "off";
    EXPECT_EQ(0, sys_getoverrun(id));
}

TEST_F(PosixTimer, GettimeTellsTheRest) {
    const int id = make();
    const itimerspec value = setting(100 * kSecond, 7 * kSecond);
    const long start = now_ns(CLOCK_MONOTONIC);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    itimerspec rest;
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_EQ(7 * kSecond, ns(rest.it_interval));
    EXPECT_LE(ns(rest.it_value), 100 * kSecond);
    EXPECT_GE(ns(rest.it_value), 100 * kSecond - (now_ns(CLOCK_MONOTONIC) - start));
    itimerspec old;
    const itimerspec off = {};
    ASSERT_EQ(0, sys_settime(id, 0, &off, &old));
    EXPECT_EQ(7 * kSecond, ns(old.it_interval));
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_EQ(0, ns(rest.it_value));
    EXPECT_EQ(0, ns(rest.it_interval));
}

TEST_F(PosixTimer, SilentOnesAreLookedAt) {
    const int id = make(CLOCK_MONOTONIC, SIGEV_NONE, 0);
    itimerspec value = setting(20 * kMs);
    const long start = now_ns(CLOCK_MONOTONIC);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    itimerspec rest;
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_GE(ns(rest.it_value), 20 * kMs - (now_ns(CLOCK_MONOTONIC) - start));
    const timespec pause = {0, 25 * kMs};
    nanosleep(&pause, nullptr);
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_EQ(0, ns(rest.it_value));

    value = setting(10 * kMs, 10 * kMs);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    nanosleep(&pause, nullptr);
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_GT(ns(rest.it_value), 0);
    EXPECT_LE(ns(rest.it_value), 10 * kMs);
    siginfo_t info;
    EXPECT_EQ(0, wait(&info, kMs));
}

TEST_F(PosixTimer, ToAThread) {
    const int id = make(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 3);
    const itimerspec value = setting(kMs);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    siginfo_t info;
    ASSERT_EQ(SIGRTMIN + 3, wait(&info));
    EXPECT_EQ(SI_TIMER, info.si_code);

    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = 0x3ffffff;
    int other;
    EXPECT_EQ(-1, sys_create(CLOCK_MONOTONIC, &event, &other));
    EXPECT_EQ(EINVAL, errno);
}

TEST_F(PosixTimer, IgnoredSignalsLetTheIntervalGoOn) {
    sigprocmask(SIG_UNBLOCK, &set_, nullptr);
    signal(SIGUSR1, SIG_IGN);
    const int id = make();
    const itimerspec value = setting(2 * kMs, 2 * kMs);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    const timespec pause = {0, 20 * kMs};
    nanosleep(&pause, nullptr);
    itimerspec rest;
    ASSERT_EQ(0, sys_gettime(id, &rest));
    EXPECT_GT(ns(rest.it_value), 0);
    sigprocmask(SIG_BLOCK, &set_, nullptr);
    signal(SIGUSR1, SIG_DFL);
    siginfo_t info;
    EXPECT_EQ(SIGUSR1, wait(&info));
}

volatile int handled_overrun, handled_count;
void count(int, siginfo_t* info, void*) {
    handled_overrun = info->si_overrun;
    handled_count = handled_count + 1;
}

TEST_F(PosixTimer, InterruptsASleepAgainAndAgain) {
    struct sigaction action = {};
    action.sa_sigaction = count;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, nullptr);
    sigprocmask(SIG_UNBLOCK, &set_, nullptr);
    handled_count = 0;
    const int id = make();
    const itimerspec value = setting(3 * kMs, 3 * kMs);
    const long start = now_ns(CLOCK_MONOTONIC);
    ASSERT_EQ(0, sys_settime(id, 0, &value));
    while (handled_count < 5) {
        const timespec long_time = {5, 0};
        if (handled_count >= 5) break;
        EXPECT_EQ(-1, nanosleep(&long_time, nullptr));
        EXPECT_EQ(EINTR, errno);
    }
    EXPECT_GE(now_ns(CLOCK_MONOTONIC) - start, 15 * kMs);
    EXPECT_EQ(0, sys_delete(id));
    signal(SIGUSR1, SIG_DFL);
}

TEST_F(PosixTimer, DeletedOnesAreUnknown) {
    const int id = make();
    ASSERT_EQ(0, sys_delete(id));
    itimerspec value = {};
    EXPECT_EQ(-1, sys_delete(id));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, sys_gettime(id, &value));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, sys_settime(id, 0, &value));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, sys_getoverrun(id));
    EXPECT_EQ(EINVAL, errno);
}

TEST_F(PosixTimer, RefusesBadArguments) {
    int id;
    sigevent event = {};
    event.sigev_signo = SIGUSR1;
    EXPECT_EQ(-1, sys_create(99, nullptr, &id));
    EXPECT_EQ(EINVAL, errno);
    for (int clock : {CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE}) {
        EXPECT_EQ(-1, sys_create(clock, nullptr, &id));
        EXPECT_EQ(EOPNOTSUPP, errno);
    }
    EXPECT_EQ(-1, sys_create(CLOCK_MONOTONIC, reinterpret_cast<sigevent*>(8), &id));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, sys_create(CLOCK_MONOTONIC, nullptr, reinterpret_cast<int*>(8)));
    EXPECT_EQ(EFAULT, errno);
    for (int signo : {0, -1, 65}) {
        event.sigev_signo = signo;
        EXPECT_EQ(-1, sys_create(CLOCK_MONOTONIC, &event, &id)) << signo;
        EXPECT_EQ(EINVAL, errno);
    }
    event.sigev_signo = SIGUSR1;
    event.sigev_notify = 77;
    EXPECT_EQ(-1, sys_create(CLOCK_MONOTONIC, &event, &id));
    EXPECT_EQ(EINVAL, errno);

    id = make();
    itimerspec value = setting(kMs);
    EXPECT_EQ(-1, sys_settime(id, 0, nullptr));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, sys_settime(id, 0, reinterpret_cast<itimerspec*>(8)));
    EXPECT_EQ(EFAULT, errno);
    value.it_value.tv_nsec = kSecond;
    EXPECT_EQ(-1, sys_settime(id, 0, &value));
    EXPECT_EQ(EINVAL, errno);
    value.it_value.tv_nsec = 0;
    value.it_value.tv_sec = -1;
    EXPECT_EQ(-1, sys_settime(id, 0, &value));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, sys_gettime(id, reinterpret_cast<itimerspec*>(8)));
    EXPECT_EQ(EFAULT, errno);
}

TEST_F(PosixTimer, CountsAgainstThePendingSignals) {
    rlimit old;
    getrlimit(RLIMIT_SIGPENDING, &old);
    const rlimit none = {0, old.rlim_max};
    setrlimit(RLIMIT_SIGPENDING, &none);
    int id;
    const int made = sys_create(CLOCK_MONOTONIC, nullptr, &id), error = errno;
    setrlimit(RLIMIT_SIGPENDING, &old);
    EXPECT_EQ(-1, made);
    EXPECT_EQ(EAGAIN, error);
}

TEST_F(PosixTimer, ManyFireInOrder) {
    constexpr int kCount = 100;
    int ids[kCount];
    for (int& id : ids) id = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3);
    const long start = now_ns(CLOCK_MONOTONIC) + 5 * kMs;
    for (int i = 0; i < kCount; i++) {
        const itimerspec value = setting(start + i * 100'000);
        ASSERT_EQ(0, sys_settime(ids[i], TIMER_ABSTIME, &value));
    }
    for (int id : ids) {
        siginfo_t info;
        ASSERT_EQ(SIGRTMIN + 3, wait(&info));
        EXPECT_EQ(id, info.si_timerid);
    }
}

TEST_F(PosixTimer, IsExactToAHundredMicroseconds) {
    const int id = make();
    long least = LONG_MAX;
    EXPECT_TRUE(when_calm([&] {
        for (int i = 0; i < 50; i++) {
            const long moment = now_ns(CLOCK_MONOTONIC) + kMs;
            const itimerspec value = setting(moment);
            EXPECT_EQ(0, sys_settime(id, TIMER_ABSTIME, &value));
            siginfo_t info;
            EXPECT_EQ(SIGUSR1, wait(&info));
            const long late = now_ns(CLOCK_MONOTONIC) - moment;
            EXPECT_GE(late, 0);
            least = std::min(least, late);
        }
        return least < 100'000;
    })) << least;
}

}  // namespace
