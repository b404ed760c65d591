// How threads are scheduled: each for itself, and one thread for another.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "threads_support.h"
#include "when_calm.h"

namespace {

struct Attributes {  // struct sched_attr
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t utilization_min, utilization_max;
};

long set_attributes(pid_t tid, Attributes* attributes, unsigned flags = 0) {
    return syscall(SYS_sched_setattr, tid, attributes, flags);
}
long get_attributes(pid_t tid, Attributes* attributes, unsigned size, unsigned flags = 0) {
    return syscall(SYS_sched_getattr, tid, attributes, size, flags);
}

bool may_use_realtime() {
    const sched_param param = {1}, normal = {0};
    const bool may = sched_setscheduler(0, SCHED_FIFO, &param) == 0;
    if (may) sched_setscheduler(0, SCHED_OTHER, &normal);
    return may;
}

TEST(ThreadsScheduling, OneThreadsPolicyIsItsOwn) {
    if (!may_use_realtime()) GTEST_SKIP();
    Sleeper sleeper;
    const sched_param param = {42};
    ASSERT_EQ(sched_setscheduler(sleeper.tid(), SCHED_RR, &param), 0);
    EXPECT_EQ(sched_getscheduler(sleeper.tid()), SCHED_RR);
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
    sched_param told = {};
    ASSERT_EQ(sched_getparam(sleeper.tid(), &told), 0);
    EXPECT_EQ(told.sched_priority, 42);
    timespec interval;
    ASSERT_EQ(sched_rr_get_interval(sleeper.tid(), &interval), 0);
    EXPECT_EQ(interval.tv_sec, 0);
    EXPECT_EQ(interval.tv_nsec, 100'000'000);
    const sched_param out_of_range = {100};
    EXPECT_ERRNO(EINVAL, sched_setparam(sleeper.tid(), &out_of_range));
}

TEST(ThreadsScheduling, NiceIsAThreads) {
    Sleeper sleeper;
    const auto id = static_cast<id_t>(sleeper.tid());
    ASSERT_EQ(setpriority(PRIO_PROCESS, id, 7), 0);
    EXPECT_EQ(getpriority(PRIO_PROCESS, id), 7);
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), 0);
}

TEST(ThreadsScheduling, Attributes) {
    Sleeper sleeper;
    Attributes attributes = {};
    ASSERT_EQ(get_attributes(sleeper.tid(), &attributes, sizeof(attributes)), 0);
    EXPECT_EQ(attributes.policy, static_cast<uint32_t>(SCHED_OTHER));
    EXPECT_EQ(attributes.nice, 0);
    ASSERT_EQ(get_attributes(sleeper.tid(), &attributes, 48), 0);
    EXPECT_EQ(attributes.size, 48u);
    EXPECT_ERRNO(EINVAL, get_attributes(sleeper.tid(), &attributes, 47));
    EXPECT_ERRNO(EINVAL, get_attributes(sleeper.tid(), &attributes, 48, 1));
    EXPECT_ERRNO(EINVAL, get_attributes(-1, &attributes, 48));
    EXPECT_ERRNO(ESRCH, get_attributes(0x3ffffffe, &attributes, 48));

    attributes = {};
    attributes.size = 48;
    attributes.policy = SCHED_BATCH;
    attributes.nice = 5;
    ASSERT_EQ(set_attributes(sleeper.tid(), &attributes), 0);
    attributes = {};
    ASSERT_EQ(get_attributes(sleeper.tid(), &attributes, 48), 0);
    EXPECT_EQ(attributes.policy, static_cast<uint32_t>(SCHED_BATCH));
    EXPECT_EQ(attributes.nice, 5);

    attributes.size = 47;
    EXPECT_ERRNO(E2BIG, set_attributes(sleeper.tid(), &attributes));
    EXPECT_GE(attributes.size, 48u) << "the size that the kernel knows";
    struct {
        Attributes known;
        uint64_t unknown;
    } larger = {};
    larger.known.size = sizeof(larger);
    EXPECT_EQ(set_attributes(sleeper.tid(), &larger.known), 0);
    larger.known.size = sizeof(larger);
    larger.unknown = 1;
    EXPECT_ERRNO(E2BIG, set_attributes(sleeper.tid(), &larger.known));
    attributes.size = 48;
    EXPECT_ERRNO(EINVAL, set_attributes(sleeper.tid(), &attributes, 1));
    EXPECT_ERRNO(EINVAL, set_attributes(sleeper.tid(), nullptr));
    attributes.flags = 1ul << 40;
    EXPECT_ERRNO(EINVAL, set_attributes(sleeper.tid(), &attributes));
    attributes.flags = 0;
    attributes.policy = 77;
    EXPECT_ERRNO(EINVAL, set_attributes(sleeper.tid(), &attributes));
}

TEST(ThreadsScheduling, ResetOnFork) {
    if (!may_use_realtime()) GTEST_SKIP();
    const sched_param param = {3}, normal = {0};
    ASSERT_EQ(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param), 0);
    EXPECT_EQ(sched_getscheduler(0), SCHED_FIFO | SCHED_RESET_ON_FORK);
    {
        Sleeper child;
        EXPECT_EQ(sched_getscheduler(child.tid()), SCHED_OTHER);
    }
    ASSERT_EQ(sched_setscheduler(0, SCHED_FIFO, &param), 0);
    {
        Sleeper child;
        EXPECT_EQ(sched_getscheduler(child.tid()), SCHED_FIFO);
    }
    ASSERT_EQ(sched_setscheduler(0, SCHED_OTHER, &normal), 0);
}

// Threads that count while they may run, on one CPU.
class Racers {
  public:
    Racers() {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(sched_getcpu(), &one);
        sched_getaffinity(0, sizeof(all_), &all_);
        sched_setaffinity(0, sizeof(one), &one);
        for (int i = 0; i < 2; i++) {
            threads_[i] = std::thread([this, i] {
                tids_[i] = gettid();
                while (!may_start_) usleep(500);
                while (!may_end_) counts_[i] = counts_[i] + 1;
            });
            while (tids_[i] == 0) usleep(100);
        }
    }
    ~Racers() { sched_setaffinity(0, sizeof(all_), &all_); }

    pid_t tid(int i) const { return tids_[i]; }
    // How much more the first has done.
    double race(long milliseconds) {
        may_start_ = true;
        timespec time = {milliseconds / 1000, milliseconds % 1000 * 1'000'000};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
        const double first = static_cast<double>(counts_[0]),
                     second = static_cast<double>(counts_[1]);
        may_end_ = true;
        for (std::thread& thread : threads_) thread.join();
        return first / (second > 0 ? second : 1);
    }

  private:
    cpu_set_t all_;
    std::thread threads_[2];
    std::atomic<pid_t> tids_[2] = {};
    std::atomic<bool> may_start_{false}, may_end_{false};
    volatile uint64_t counts_[2] = {};
};

// A machine that stands still takes the time from whoever runs, so these may be asked again.

TEST(ThreadsScheduling, NicenessIsWorthTime) {
    EXPECT_TRUE(when_calm([] {
        Racers racers;
        EXPECT_EQ(setpriority(PRIO_PROCESS, static_cast<id_t>(racers.tid(1)), 10), 0);
        return racers.race(500) > 3;  // 1024 : 110
    }));
}

TEST(ThreadsScheduling, EqualsShare) {
    EXPECT_TRUE(when_calm([] {
        Racers racers;
        const double ratio = racers.race(500);
        return ratio > 0.3 && ratio < 3;
    }));
}

TEST(ThreadsScheduling, IdleGetsLittle) {
    EXPECT_TRUE(when_calm([] {
        Racers racers;
        const sched_param param = {0};
        EXPECT_EQ(sched_setscheduler(racers.tid(1), SCHED_IDLE, &param), 0);
        return racers.race(500) > 5;
    }));
}

TEST(ThreadsScheduling, RoundRobinTakesTurns) {
    if (!may_use_realtime()) GTEST_SKIP();
    EXPECT_TRUE(when_calm([] {
        Racers racers;
        const sched_param param = {5}, higher = {6}, normal = {0};
        sched_setscheduler(0, SCHED_FIFO, &higher);
        EXPECT_EQ(sched_setscheduler(racers.tid(0), SCHED_RR, &param), 0);
        EXPECT_EQ(sched_setscheduler(racers.tid(1), SCHED_RR, &param), 0);
        const double ratio = racers.race(1000);
        sched_setscheduler(0, SCHED_OTHER, &normal);
        return ratio > 0.2 && ratio < 5;
    }));
}

}  // namespace
