// timerfd_create, timerfd_settime, timerfd_gettime.
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "events_support.h"

namespace {

constexpr int64_t kLong = 1000'000 * kMs;

int64_t to_ns(const timespec& time) {
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

int start(int fd, int64_t value_ns, int64_t interval_ns = 0, int flags = 0) {
    itimerspec spec = {to_timespec(interval_ns), to_timespec(value_ns)};
    return timerfd_settime(fd, flags, &spec, nullptr);
}

uint64_t ticks(int fd) {
    uint64_t count = 0;
    EXPECT_EQ(read(fd, &count, sizeof(count)), 8) << strerror(errno);
    return count;
}

bool has_capability(int number) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("CapEff:", 0) != 0) continue;
        return std::stoull(line.substr(7), nullptr, 16) >> number & 1;
    }
    return false;
}

class TimerFd : public testing::TestWithParam<int> {
  protected:
    int fd_ = timerfd_create(GetParam(), 0);
    ~TimerFd() override { close(fd_); }
};

TEST_P(TimerFd, ExpiresOnce) {
    int64_t begin = now_ns();
    ASSERT_OK(start(fd_, 20 * kMs));
    EXPECT_TRUE(poll_now(fd_) == 0 || now_ns() - begin >= 20 * kMs);
    EXPECT_EQ(ticks(fd_), 1u);
    int64_t taken = now_ns() - begin;
    EXPECT_GE(taken, 20 * kMs);
    itimerspec left;
    ASSERT_OK(timerfd_gettime(fd_, &left));
    EXPECT_EQ(to_ns(left.it_value), 0);
    EXPECT_EQ(to_ns(left.it_interval), 0);
    fcntl(fd_, F_SETFL, O_NONBLOCK);
    uint64_t count;
    EXPECT_ERRNO(read(fd_, &count, 8), EAGAIN);
}

TEST_P(TimerFd, CountsIntervalsWithoutDrift) {
    int64_t begin = now_ns();
    ASSERT_OK(start(fd_, 10 * kMs, 10 * kMs));
    int64_t begun = now_ns();
    uint64_t sum = 0;
    for (int i = 0; i < 3; i++) {
        usleep(7000);
        sum += ticks(fd_);
    }
    usleep(35000);
    int64_t end = now_ns();
    sum += ticks(fd_);
    EXPECT_GE(sum, static_cast<uint64_t>((end - begun) / (10 * kMs)));
    EXPECT_LE(sum, static_cast<uint64_t>((now_ns() - begin) / (10 * kMs)));
    itimerspec left;
    ASSERT_OK(timerfd_gettime(fd_, &left));
    EXPECT_LE(to_ns(left.it_value), 10 * kMs);
    EXPECT_GT(to_ns(left.it_value), 0);
    EXPECT_EQ(to_ns(left.it_interval), 10 * kMs);
}

TEST_P(TimerFd, AbsoluteTimes) {
    ASSERT_OK(start(fd_, now_ns(GetParam()) + 15 * kMs, 0, TFD_TIMER_ABSTIME));
    EXPECT_EQ(ticks(fd_), 1u);
    // A moment that has passed, with an interval: all expirations since count.
    ASSERT_OK(start(fd_, now_ns(GetParam()) - 100 * kMs, 10 * kMs, TFD_TIMER_ABSTIME));
    EXPECT_GE(ticks(fd_), 11u);
    ASSERT_OK(start(fd_, 1, 0, TFD_TIMER_ABSTIME));
    EXPECT_EQ(ticks(fd_), 1u);
}

TEST_P(TimerFd, TellsTheOldSettingAndStops) {
    int64_t begin = now_ns();
    ASSERT_OK(start(fd_, kLong, 3 * kMs));
    itimerspec off = {}, old = {};
    ASSERT_OK(timerfd_settime(fd_, 0, &off, &old));
    EXPECT_LE(to_ns(old.it_value), kLong);
    EXPECT_GE(to_ns(old.it_value), kLong - (now_ns() - begin));
    EXPECT_EQ(to_ns(old.it_interval), 3 * kMs);
    ASSERT_OK(timerfd_gettime(fd_, &old));
    EXPECT_EQ(to_ns(old.it_value), 0);
    EXPECT_EQ(poll_now(fd_), 0);
}

TEST_P(TimerFd, SettingForgetsExpirations) {
    ASSERT_OK(start(fd_, 1));
    while (!poll_now(fd_)) {
    }
    EXPECT_EQ(poll_now(fd_), POLLIN);
    ASSERT_OK(start(fd_, kLong));
    EXPECT_EQ(poll_now(fd_), 0);
}

TEST_P(TimerFd, WakesPollers) {
    ASSERT_OK(start(fd_, 10 * kMs));
    pollfd one = {fd_, POLLIN, 0};
    EXPECT_EQ(poll(&one, 1, 60'000), 1);
    EXPECT_EQ(one.revents, POLLIN);
}

INSTANTIATE_TEST_SUITE_P(Clocks, TimerFd,
                         testing::Values(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME));

TEST(TimerFdErrors, CreateKnowsClocksAndFlags) {
    EXPECT_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    EXPECT_ERRNO(timerfd_create(CLOCK_TAI, 0), EINVAL);
    EXPECT_ERRNO(timerfd_create(99, 0), EINVAL);
    EXPECT_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(name_of(fd), "anon_inode:[timerfd]");
    close(fd);
    constexpr int kWakeAlarm = 35;
    for (int clock : {CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM}) {
        int alarm = timerfd_create(clock, 0);
        if (has_capability(kWakeAlarm)) {
            EXPECT_OK(start(alarm, kMs));
            EXPECT_EQ(ticks(alarm), 1u);
            close(alarm);
        } else {
            EXPECT_EQ(alarm, -1);
            EXPECT_EQ(errno, EPERM);
        }
    }
}

TEST(TimerFdErrors, SettingsAreChecked) {
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    itimerspec spec = {};
    EXPECT_ERRNO(timerfd_settime(fd, 4, &spec, nullptr), EINVAL);
    spec.it_value.tv_nsec = 1000000000;
    EXPECT_ERRNO(timerfd_settime(fd, 0, &spec, nullptr), EINVAL);
    spec.it_value = {-1, 0};
    EXPECT_ERRNO(timerfd_settime(fd, 0, &spec, nullptr), EINVAL);
    spec.it_value = {0, 0};
    spec.it_interval = {0, -1};
    EXPECT_ERRNO(timerfd_settime(fd, 0, &spec, nullptr), EINVAL);
    spec = {};
    EXPECT_ERRNO(timerfd_settime(-1, 0, &spec, nullptr), EBADF);
    EXPECT_ERRNO(timerfd_settime(0, 0, &spec, nullptr), EINVAL);
    EXPECT_ERRNO(timerfd_gettime(0, &spec), EINVAL);
    EXPECT_ERRNO(timerfd_gettime(1000, &spec), EBADF);
    auto* bad = reinterpret_cast<itimerspec*>(bad_pointer());
    EXPECT_ERRNO(timerfd_settime(fd, 0, bad, nullptr), EFAULT);
    EXPECT_ERRNO(timerfd_settime(fd, 0, &spec, bad), EFAULT);
    EXPECT_ERRNO(timerfd_gettime(fd, bad), EFAULT);
    uint64_t count;
    EXPECT_ERRNO(read(fd, &count, 7), EINVAL);
    EXPECT_ERRNO(read(fd, &count, 8), EAGAIN);
    EXPECT_ERRNO(write(fd, &count, 8), EINVAL);
    EXPECT_ERRNO(pread(fd, &count, 8, 0), ESPIPE);
    // The longest times.
    spec.it_value = {INT64_MAX, 999999999};
    EXPECT_OK(timerfd_settime(fd, 0, &spec, nullptr));
    EXPECT_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &spec, nullptr));
    EXPECT_EQ(poll_now(fd), 0);
    close(fd);
}

TEST(TimerFdErrors, ACountThatCannotBeCopiedIsLost) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    ASSERT_OK(start(fd, 1));
    EXPECT_ERRNO(read(fd, bad_pointer(), 8), EFAULT);
    EXPECT_EQ(poll_now(fd), 0);
    close(fd);
}

// Sets the wall clock, which only a guest may do to itself.
class TimerFdSteps : public testing::Test {
  protected:
    void SetUp() override {
        utsname name;
        ASSERT_OK(uname(&name));
        if (!strstr(name.version, "Coracle")) GTEST_SKIP() << "this machine's clock is not ours";
    }
    static void step(int64_t by_ns) {
        timespec time = to_timespec(now_ns(CLOCK_REALTIME) + by_ns);
        ASSERT_OK(clock_settime(CLOCK_REALTIME, &time));
    }
};

TEST_F(TimerFdSteps, CancelOnSet) {
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
    constexpr int kFlags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
    ASSERT_OK(start(fd, now_ns(CLOCK_REALTIME) + kLong, 0, kFlags));
    EXPECT_EQ(poll_now(fd), 0);
    step(kMs);
    EXPECT_EQ(poll_now(fd), POLLIN);
    uint64_t count;
    EXPECT_ERRNO(read(fd, &count, 8), ECANCELED);
    EXPECT_ERRNO(read(fd, &count, 8), EAGAIN);
    step(kMs);
    EXPECT_ERRNO(start(fd, now_ns(CLOCK_REALTIME) + kLong, 0, kFlags), ECANCELED);
    EXPECT_OK(start(fd, now_ns(CLOCK_REALTIME) + kLong, 0, TFD_TIMER_ABSTIME));
    step(kMs);
    EXPECT_EQ(poll_now(fd), 0);
    close(fd);
}

TEST_F(TimerFdSteps, AbsoluteTimesFollow) {
    int absolute = timerfd_create(CLOCK_REALTIME, 0), relative = timerfd_create(CLOCK_REALTIME, 0);
    ASSERT_OK(start(absolute, now_ns(CLOCK_REALTIME) + 60000 * kMs, 0, TFD_TIMER_ABSTIME));
    ASSERT_OK(start(relative, 60000 * kMs));
    step(70000 * kMs);
    EXPECT_EQ(ticks(absolute), 1u);
    EXPECT_EQ(poll_now(relative), 0);
    step(-70000 * kMs);
    close(absolute);
    close(relative);
}

TEST(TimerFdThreads, EachExpirationIsReadOnce) {
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    int64_t begin = now_ns();
    ASSERT_OK(start(fd, 2 * kMs, 2 * kMs));
    std::atomic<uint64_t> sum{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; i++) {
        readers.emplace_back([&] {
            for (int j = 0; j < 5; j++) sum += ticks(fd);
        });
    }
    for (std::thread& reader : readers) reader.join();
    EXPECT_GE(sum, 15u);
    EXPECT_LE(sum, static_cast<uint64_t>((now_ns() - begin) / (2 * kMs)));
    close(fd);
}

TEST(TimerFdInfo, ShowsItsSetting) {
    int fd = timerfd_create(CLOCK_BOOTTIME, 0);
    ASSERT_OK(start(fd, 0, 0, TFD_TIMER_ABSTIME));
    EXPECT_NE(info_of(fd).find("clockid: 7\nticks: 0\nsettime flags: 01\nit_value: (0, 0)\n"
                               "it_interval: (0, 0)\n"),
              std::string::npos)
        << info_of(fd);
    close(fd);
}

}  // namespace
