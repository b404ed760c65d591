// setitimer, getitimer, alarm.
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

volatile int expired;
void count(int) { expired = expired + 1; }

class TimeTimer : public ::testing::Test {
  protected:
    void SetUp() override {
        expired = 0;
        for (int signo : {SIGALRM, SIGVTALRM, SIGPROF}) {
            struct sigaction action = {};
            action.sa_handler = count;
            sigaction(signo, &action, nullptr);
        }
    }
    void TearDown() override {
        itimerval off = {};
        for (auto which : {ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF}) {
            setitimer(which, &off, nullptr);
        }
    }
    static itimerval setting(long value_us, long interval_us) {
        return {{interval_us / 1000000, interval_us % 1000000},
                {value_us / 1000000, value_us % 1000000}};
    }
    static int64_t now_ns() {
        timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * 1'000'000'000 + time.tv_nsec;
    }
};

TEST_F(TimeTimer, RepeatsAtItsInterval) {
    const itimerval value = setting(5000, 5000);
    const int64_t start = now_ns();
    ASSERT_EQ(0, setitimer(ITIMER_REAL, &value, nullptr));
    while (expired < 4) {
    }
    const int64_t took = now_ns() - start;
    EXPECT_GE(took, 20'000'000);
}

TEST_F(TimeTimer, CpuTimersCountWork) {
    for (auto which : {ITIMER_VIRTUAL, ITIMER_PROF}) {
        expired = 0;
        const itimerval value = setting(10'000, 0);
        ASSERT_EQ(0, setitimer(which, &value, nullptr));
        while (expired == 0) {
        }
        EXPECT_EQ(1, expired);
    }
}

TEST_F(TimeTimer, TellsTheRestAndTheOldSetting) {
    constexpr int64_t kLong = 50'000'000;
    const auto us = [](const timeval& time) { return time.tv_sec * 1'000'000 + time.tv_usec; };
    const itimerval value = setting(kLong, 3'000'000);
    itimerval now, old;
    const int64_t start = now_ns();
    const auto passed_us = [start] { return (now_ns() - start) / 1000 + 1; };
    ASSERT_EQ(0, setitimer(ITIMER_REAL, &value, &old));
    EXPECT_EQ(0, old.it_value.tv_sec);
    ASSERT_EQ(0, getitimer(ITIMER_REAL, &now));
    EXPECT_LE(us(now.it_value), kLong);
    EXPECT_GE(us(now.it_value), kLong - passed_us());
    EXPECT_EQ(3, now.it_interval.tv_sec);
    const itimerval off = {};
    ASSERT_EQ(0, setitimer(ITIMER_REAL, &off, &old));
    EXPECT_LE(us(old.it_value), us(now.it_value));
    EXPECT_GE(us(old.it_value), kLong - passed_us());
    ASSERT_EQ(0, getitimer(ITIMER_REAL, &now));
    EXPECT_EQ(0, now.it_value.tv_sec);
    EXPECT_EQ(0, now.it_value.tv_usec);
    EXPECT_EQ(0, now.it_interval.tv_sec);
}

TEST_F(TimeTimer, AlarmRoundsToSeconds) {
    EXPECT_EQ(0u, alarm(100));
    EXPECT_TRUE(when_calm([] {
        alarm(100);
        return alarm(50) == 100 && alarm(0) == 50;
    }));
    EXPECT_EQ(0u, alarm(0));
}

TEST_F(TimeTimer, RefusesBadArguments) {
    itimerval value = setting(1000, 0);
    EXPECT_EQ(-1, syscall(SYS_setitimer, 3, &value, nullptr));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_getitimer, -1, &value));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_setitimer, ITIMER_REAL, 8, nullptr));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_getitimer, ITIMER_REAL, 8));
    EXPECT_EQ(EFAULT, errno);
    value.it_value.tv_usec = 1'000'000;
    EXPECT_EQ(-1, setitimer(ITIMER_REAL, &value, nullptr));
    EXPECT_EQ(EINVAL, errno);
    value = setting(1000, 0);
    value.it_interval.tv_sec = -1;
    EXPECT_EQ(-1, setitimer(ITIMER_REAL, &value, nullptr));
    EXPECT_EQ(EINVAL, errno);
}

}  // namespace
