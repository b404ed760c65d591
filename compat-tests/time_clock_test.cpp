// Clocks: they exist, go forward, agree with each other, and refuse what they must.
#include <errno.h>
#include <gtest/gtest.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>

#include "when_calm.h"

namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int kClocks[] = {CLOCK_REALTIME,  CLOCK_MONOTONIC,        CLOCK_PROCESS_CPUTIME_ID,
                           CLOCK_BOOTTIME,  CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                           CLOCK_TAI,       CLOCK_REALTIME_COARSE,  CLOCK_MONOTONIC_COARSE};

// The system call itself, past the C library's own reading of the clock.
int64_t call_ns(int clock) {
    timespec time = {-1, -1};
    EXPECT_EQ(0, syscall(SYS_clock_gettime, clock, &time)) << clock;
    return time.tv_sec * kSecond + time.tv_nsec;
}

int64_t library_ns(int clock) {
    timespec time = {-1, -1};
    EXPECT_EQ(0, clock_gettime(clock, &time)) << clock;
    return time.tv_sec * kSecond + time.tv_nsec;
}

void spin_ns(int64_t ns) {
    const int64_t end = call_ns(CLOCK_MONOTONIC) + ns;
    while (call_ns(CLOCK_MONOTONIC) < end) {
    }
}

TEST(TimeClock, EveryClockIsNormalized) {
    for (int clock : kClocks) {
        timespec time = {-1, -1};
        ASSERT_EQ(0, syscall(SYS_clock_gettime, clock, &time)) << clock;
        EXPECT_GE(time.tv_sec, 0) << clock;
        EXPECT_GE(time.tv_nsec, 0) << clock;
        EXPECT_LT(time.tv_nsec, kSecond) << clock;
    }
}

TEST(TimeClock, NeverGoesBack) {
    int64_t last = 0;
    for (int i = 0; i < 20'000; i++) {
        // In turn by the call and by the C library, which must show one clock.
        const int64_t now = i % 2 ? call_ns(CLOCK_MONOTONIC) : library_ns(CLOCK_MONOTONIC);
        ASSERT_GE(now, last) << i;
        last = now;
    }
}

TEST(TimeClock, ClocksAgree) {
    EXPECT_TRUE(when_calm([] {
        const int64_t monotonic_start = call_ns(CLOCK_MONOTONIC);
        const int64_t realtime_start = call_ns(CLOCK_REALTIME);
        spin_ns(20'000'000);
        const int64_t monotonic = call_ns(CLOCK_MONOTONIC) - monotonic_start;
        const int64_t realtime = call_ns(CLOCK_REALTIME) - realtime_start;
        EXPECT_GE(monotonic, 20'000'000);
        return std::abs(monotonic - realtime) < 5'000'000;
    }));

    const int64_t before = call_ns(CLOCK_REALTIME);
    timeval day;
    ASSERT_EQ(0, syscall(SYS_gettimeofday, &day, nullptr));
    const int64_t day_us = day.tv_sec * 1'000'000 + day.tv_usec;
    EXPECT_GE(day_us, before / 1000);
    EXPECT_LE(day_us, call_ns(CLOCK_REALTIME) / 1000);
    const time_t seconds = syscall(SYS_time, nullptr);
    EXPECT_GE(seconds, before / kSecond - 1) << "it goes by the coarse clock";
    EXPECT_LE(seconds, call_ns(CLOCK_REALTIME) / kSecond);
    EXPECT_GT(seconds, 1'600'000'000) << "after 2020";
    EXPECT_TRUE(when_calm([] {
        const int64_t coarse = call_ns(CLOCK_REALTIME_COARSE);
        return call_ns(CLOCK_REALTIME) - coarse < 100'000'000;
    }));
}

TEST(TimeClock, CpuTimeGrowsByWorkAndNotBySleep) {
    EXPECT_TRUE(when_calm([] {
        const int64_t start = call_ns(CLOCK_PROCESS_CPUTIME_ID);
        spin_ns(30'000'000);
        return call_ns(CLOCK_PROCESS_CPUTIME_ID) - start > 5'000'000;
    }));
    EXPECT_TRUE(when_calm([] {
        const int64_t before = call_ns(CLOCK_THREAD_CPUTIME_ID);
        const timespec request = {0, 50'000'000};
        nanosleep(&request, nullptr);
        return call_ns(CLOCK_THREAD_CPUTIME_ID) - before < 25'000'000;
    }));
}

TEST(TimeClock, CpuClockOfAProcessById) {
    clockid_t clock;
    ASSERT_EQ(0, clock_getcpuclockid(0, &clock));
    EXPECT_GT(call_ns(clock), 0);
    timespec time;
    const int unknown = static_cast<int>((~0x3ffffffeu << 3) | 2);
    EXPECT_EQ(-1, syscall(SYS_clock_gettime, unknown, &time));
    EXPECT_EQ(EINVAL, errno);
}

TEST(TimeClock, Resolution) {
    timespec resolution;
    for (int clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID}) {
        ASSERT_EQ(0, syscall(SYS_clock_getres, clock, &resolution));
        EXPECT_EQ(0, resolution.tv_sec);
        EXPECT_EQ(1, resolution.tv_nsec) << clock;
    }
    ASSERT_EQ(0, syscall(SYS_clock_getres, CLOCK_MONOTONIC_COARSE, &resolution));
    EXPECT_GE(resolution.tv_nsec, 1'000'000);
    EXPECT_EQ(0, syscall(SYS_clock_getres, CLOCK_MONOTONIC, nullptr));
}

TEST(TimeClock, CpuClocksCannotBeSet) {
    const timespec time = {1, 0};
    EXPECT_EQ(-1, syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &time));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_clock_settime, CLOCK_THREAD_CPUTIME_ID, &time));
    EXPECT_EQ(EINVAL, errno);
    for (int kind : {0, 1, 2, 4, 5, 6}) {
        const int own = static_cast<int>(~0u << 3 | static_cast<unsigned>(kind));
        EXPECT_EQ(-1, syscall(SYS_clock_settime, own, &time));
        EXPECT_EQ(EPERM, errno);
        // Some count whole ticks, and only those of the user's time.
        const int64_t limit = call_ns(CLOCK_MONOTONIC) + 60'000'000'000;
        while (call_ns(own) == 0 && call_ns(CLOCK_MONOTONIC) < limit) {
            for (int i = 0; i < 100'000; i++) asm volatile("");
        }
        EXPECT_GT(call_ns(own), 0) << kind;
        timespec resolution;
        ASSERT_EQ(0, syscall(SYS_clock_getres, own, &resolution));
        EXPECT_EQ((kind & 3) == 2 ? 1 : 4'000'000, resolution.tv_nsec);
    }
}

TEST(TimeClock, RefusesBadArguments) {
    timespec time = {};
    for (int clock : {10, 12, 99, INT32_MAX}) {
        EXPECT_EQ(-1, syscall(SYS_clock_gettime, clock, &time)) << clock;
        EXPECT_EQ(EINVAL, errno);
        EXPECT_EQ(-1, syscall(SYS_clock_getres, clock, &time)) << clock;
        EXPECT_EQ(EINVAL, errno);
        EXPECT_EQ(-1, syscall(SYS_clock_settime, clock, &time)) << clock;
        EXPECT_EQ(EINVAL, errno);
    }
    EXPECT_EQ(-1, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_gettimeofday, 8, nullptr));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_clock_settime, CLOCK_REALTIME, 8));
    EXPECT_EQ(EFAULT, errno);
    time.tv_nsec = kSecond;
    EXPECT_EQ(-1, syscall(SYS_clock_settime, CLOCK_REALTIME, &time));
    EXPECT_EQ(EINVAL, errno);
    timeval day = {0, 1'000'001};
    EXPECT_EQ(-1, syscall(SYS_settimeofday, &day, nullptr));
    EXPECT_EQ(EINVAL, errno);
}

TEST(TimeClock, TimesAndUsage) {
    tms usage;
    const clock_t ticks = times(&usage);
    EXPECT_NE(static_cast<clock_t>(-1), ticks);
    EXPECT_EQ(0, usage.tms_cutime);
    EXPECT_EQ(-1, syscall(SYS_times, 8));
    EXPECT_EQ(EFAULT, errno);

    rusage self = {};
    spin_ns(20'000'000);
    ASSERT_EQ(0, getrusage(RUSAGE_SELF, &self));
    EXPECT_GT(self.ru_utime.tv_sec * 1000000 + self.ru_utime.tv_usec + self.ru_stime.tv_sec +
                  self.ru_stime.tv_usec,
              1000);
    EXPECT_GT(self.ru_maxrss, 100);
    EXPECT_EQ(0, getrusage(RUSAGE_CHILDREN, &self));
    EXPECT_EQ(-1, getrusage(static_cast<__rusage_who_t>(7), &self));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_getrusage, RUSAGE_SELF, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST(TimeClock, AdjustmentCanBeRead) {
    timex state = {};
    const int answer = adjtimex(&state);
    EXPECT_GE(answer, TIME_OK);
    EXPECT_LE(answer, TIME_ERROR);
    EXPECT_EQ(10000, state.tick);
    EXPECT_GT(state.time.tv_sec, 1'600'000'000);
    EXPECT_EQ(-1, syscall(SYS_adjtimex, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_clock_adjtime, CLOCK_MONOTONIC, &state));
    EXPECT_EQ(EOPNOTSUPP, errno);
    EXPECT_EQ(-1, syscall(SYS_clock_adjtime, 99, &state));
    EXPECT_EQ(EINVAL, errno);
}

}  // namespace
