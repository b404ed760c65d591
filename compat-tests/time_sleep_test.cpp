// nanosleep and clock_nanosleep.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "when_calm.h"

namespace {

constexpr int64_t kSecond = 1'000'000'000;

int64_t now_ns(int clock = CLOCK_MONOTONIC) {
    timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * kSecond + time.tv_nsec;
}
timespec to_timespec(int64_t ns) { return {ns / kSecond, ns % kSecond}; }

long sleep_call(int clock, int flags, const timespec* request, timespec* rest = nullptr) {
    return syscall(SYS_clock_nanosleep, clock, flags, request, rest);
}

// Interrupts what sleeps, again and again: the machine may stand still until a sleep begins.
class Interrupts {
  public:
    Interrupts() {
        struct sigaction action = {};
        action.sa_handler = [](int) {};
        sigaction(SIGALRM, &action, nullptr);
        const itimerval value = {{0, 20'000}, {0, 20'000}};
        setitimer(ITIMER_REAL, &value, nullptr);
    }
    ~Interrupts() {
        const itimerval off = {};
        setitimer(ITIMER_REAL, &off, nullptr);
        signal(SIGALRM, SIG_DFL);
    }
};

TEST(TimeSleep, SleepsAtLeastSoLong) {
    for (int64_t ns : {int64_t{0}, int64_t{1}, int64_t{100'000}, int64_t{15'000'000}}) {
        EXPECT_TRUE(when_calm([ns] {
            const timespec request = to_timespec(ns);
            const int64_t start = now_ns();
            EXPECT_EQ(0, nanosleep(&request, nullptr));
            const int64_t slept = now_ns() - start;
            EXPECT_GE(slept, ns);
            return slept < ns + kSecond;
        })) << ns;
    }
}

TEST(TimeSleep, AbsoluteTimes) {
    for (int clock : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, CLOCK_TAI}) {
        const int64_t target = now_ns(clock) + 5'000'000;
        const timespec moment = to_timespec(target);
        EXPECT_EQ(0, sleep_call(clock, TIMER_ABSTIME, &moment)) << clock;
        EXPECT_GE(now_ns(clock), target) << clock;
    }
    const timespec past = {0, 1};
    EXPECT_EQ(0, sleep_call(CLOCK_MONOTONIC, TIMER_ABSTIME, &past));
    EXPECT_EQ(0, sleep_call(CLOCK_REALTIME, TIMER_ABSTIME, &past));
}

TEST(TimeSleep, RefusesBadArguments) {
    const timespec negative = {-1, 0}, too_many = {0, kSecond}, minus = {0, -1}, good = {0, 1};
    for (const timespec* request : {&negative, &too_many, &minus}) {
        EXPECT_EQ(-1, nanosleep(request, nullptr));
        EXPECT_EQ(EINVAL, errno);
        EXPECT_EQ(-1, sleep_call(CLOCK_MONOTONIC, TIMER_ABSTIME, request));
        EXPECT_EQ(EINVAL, errno);
    }
    EXPECT_EQ(-1, syscall(SYS_nanosleep, 8, nullptr));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, sleep_call(99, 0, &good));
    EXPECT_EQ(EINVAL, errno);
    for (int clock : {CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE,
                      CLOCK_REALTIME_COARSE}) {
        EXPECT_EQ(-1, sleep_call(clock, 0, &good));
        EXPECT_EQ(EOPNOTSUPP, errno);
    }
}

TEST(TimeSleep, InterruptedTellsTheRest) {
    Interrupts interrupts;
    const timespec request = {10, 0};
    timespec rest = {};
    const int64_t start = now_ns();
    EXPECT_EQ(-1, nanosleep(&request, &rest));
    EXPECT_EQ(EINTR, errno);
    const int64_t rest_ns = rest.tv_sec * kSecond + rest.tv_nsec;
    EXPECT_GE(rest_ns, 10 * kSecond - (now_ns() - start));
    EXPECT_LT(rest_ns, 10 * kSecond);

    EXPECT_EQ(-1, syscall(SYS_nanosleep, &request, 8)) << "the rest cannot be written";
    EXPECT_EQ(EFAULT, errno);
}

TEST(TimeSleep, InterruptedAbsoluteLeavesTheRestAlone) {
    Interrupts interrupts;
    const timespec moment = to_timespec(now_ns() + 10 * kSecond);
    timespec rest = {77, 77};
    EXPECT_EQ(-1, sleep_call(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment, &rest));
    EXPECT_EQ(EINTR, errno);
    EXPECT_EQ(77, rest.tv_sec);
}

TEST(TimeSleep, RestartWithoutASleepIsEintr) {
    Interrupts interrupts;
    pause();
    EXPECT_EQ(-1, syscall(SYS_restart_syscall));
    EXPECT_EQ(EINTR, errno);
}

// With one thread, nobody uses the time up that the sleep is to last.
TEST(TimeSleep, OnCpuTime) {
    timespec request = {100, 0}, remain = {};
    const int64_t start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    {
        Interrupts interrupts;
        EXPECT_EQ(EINTR, clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &request, &remain));
    }
    const int64_t used = now_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
    const int64_t remain_ns = remain.tv_sec * kSecond + remain.tv_nsec;
    EXPECT_GE(remain_ns, 100 * kSecond - used);
    EXPECT_LT(remain_ns, 100 * kSecond);

    request = {0, 1};  // used up long ago
    EXPECT_EQ(0, clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &request, nullptr));
    EXPECT_EQ(-1, syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &request, nullptr));
    EXPECT_EQ(EOPNOTSUPP, errno);
    const int own_thread = static_cast<int>(~0u << 3 | 4 | 2);
    EXPECT_EQ(-1, syscall(SYS_clock_nanosleep, own_thread, 0, &request, nullptr));
    EXPECT_EQ(EINVAL, errno);
}

}  // namespace
