// CPU time of threads, timers on it, and timers that tell threads.
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "threads_support.h"
#include "when_calm.h"

namespace {

long ns(const timespec& time) { return time.tv_sec * kSecond + time.tv_nsec; }
long now_ns(clockid_t clock) {
    timespec time = {};
    EXPECT_EQ(0, clock_gettime(clock, &time)) << clock;
    return ns(time);
}
void work_ns(long time) {
    const long end = now_ns(CLOCK_THREAD_CPUTIME_ID) + time;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end) {}
}
TEST(TimeThreads, EachHasItsClock) {
    std::atomic<bool> stop{false};
    std::atomic<int> phase{0};
    std::thread worker([&] {
        work_ns(30 * kMs);
        phase = 1;
        while (!stop) sleep_ns(kMs);
    });
    clockid_t clock;
    ASSERT_EQ(0, pthread_getcpuclockid(worker.native_handle(), &clock));
    const long own = now_ns(CLOCK_THREAD_CPUTIME_ID);
    ASSERT_TRUE(eventually([&] { return phase == 1; }));
    const long worked = now_ns(clock);
    EXPECT_GE(worked, 30 * kMs);
    EXPECT_LT(worked, 20 * kSecond);
    EXPECT_LT(now_ns(CLOCK_THREAD_CPUTIME_ID) - own, 10 * kSecond);
    EXPECT_GE(now_ns(CLOCK_PROCESS_CPUTIME_ID), worked + own);
    stop = true;
    worker.join();
    // The kernel may still be busy with its end.
    timespec time;
    EXPECT_TRUE(eventually([&] { return clock_gettime(clock, &time) == -1; }));
    EXPECT_EQ(EINVAL, errno);
}

TEST(TimeThreads, TheProcessKeepsTheTimeOfThreadsThatEnded) {
    const long before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < 4; i++) std::thread([] { work_ns(10 * kMs); }).join();
    EXPECT_GE(now_ns(CLOCK_PROCESS_CPUTIME_ID) - before, 40 * kMs);
}

TEST(TimeThreads, SleepingThreadsUseNothing) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> sleepers;
    for (int i = 0; i < 8; i++) {
        sleepers.emplace_back([&] {
            while (!stop) sleep_ns(50 * kMs);
        });
    }
    EXPECT_TRUE(when_calm([] {
        const long before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
        sleep_ns(200 * kMs);
        return now_ns(CLOCK_PROCESS_CPUTIME_ID) - before < 100 * kMs;
    }));
    stop = true;
    for (auto& sleeper : sleepers) sleeper.join();
}

TEST(TimeThreads, UsageOfAThreadAndOfAll) {
    std::thread([] {
        work_ns(20 * kMs);
        rusage own = {}, all = {};
        ASSERT_EQ(0, getrusage(RUSAGE_THREAD, &own));
        ASSERT_EQ(0, getrusage(RUSAGE_SELF, &all));
        const auto total = [](const rusage& usage) {
            return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1'000'000 +
                   usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
        };
        EXPECT_GE(total(own), 15'000);
        EXPECT_GE(total(all), total(own));
        EXPECT_LE(all.ru_maxrss, 1 << 20);
        const long switches = own.ru_nvcsw;
        // A machine that stands still for the time of a sleep has nobody sleep.
        EXPECT_TRUE(eventually([&] {
            getrusage(RUSAGE_THREAD, &own);
            return own.ru_nvcsw > switches;
        }));
    }).join();
}

TEST(TimeThreads, SleepUntilOthersHaveWorked) {
    std::atomic<bool> stop{false};
    std::thread worker([&] {
        while (!stop) work_ns(kMs);
    });
    const long start = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    timespec time = {0, 30 * kMs};
    EXPECT_EQ(0, clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &time, nullptr));
    EXPECT_GE(now_ns(CLOCK_PROCESS_CPUTIME_ID) - start, 30 * kMs);

    clockid_t clock;
    ASSERT_EQ(0, pthread_getcpuclockid(worker.native_handle(), &clock));
    const long end = now_ns(clock) + 20 * kMs;
    time = {end / kSecond, end % kSecond};
    EXPECT_EQ(0, clock_nanosleep(clock, TIMER_ABSTIME, &time, nullptr));
    EXPECT_GE(now_ns(clock), end);
    stop = true;
    worker.join();
}

std::atomic<pid_t> told;
std::atomic<int> count;
void note(int, siginfo_t*, void*) {
    told = gettid();
    count++;
}

class TimerSignals : public ::testing::Test {
  protected:
    void SetUp() override {
        told = 0;
        count = 0;
        struct sigaction action = {};
        action.sa_sigaction = note;
        action.sa_flags = SA_SIGINFO | SA_RESTART;
        for (int signo : {SIGUSR1, SIGPROF, SIGVTALRM}) sigaction(signo, &action, nullptr);
    }
    void TearDown() override {
        for (int signo : {SIGUSR1, SIGPROF, SIGVTALRM}) signal(signo, SIG_DFL);
    }
};

TEST_F(TimerSignals, ToTheThreadThatIsNamed) {
    std::atomic<pid_t> tid{0};
    std::atomic<bool> stop{false};
    std::thread worker([&] {
        tid = gettid();
        while (!stop) sleep_ns(kMs);
    });
    ASSERT_TRUE(eventually([&] { return tid != 0; }));
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGUSR1;
    event._sigev_un._tid = tid;
    timer_t timer;
    ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
    const itimerspec value = {{0, 2 * kMs}, {0, 2 * kMs}};
    ASSERT_EQ(0, timer_settime(timer, 0, &value, nullptr));
    EXPECT_TRUE(eventually([] { return count >= 5; }));
    EXPECT_EQ(tid, told);
    stop = true;
    worker.join();  // the timer goes on, and nobody is told
    sleep_ns(10 * kMs);
    EXPECT_EQ(0, timer_delete(timer));
}

TEST_F(TimerSignals, OnTheCpuTimeOfAnotherThread) {
    std::atomic<bool> go{false}, stop{false};
    std::thread worker([&] {
        while (!go) sleep_ns(kMs);
        while (!stop) work_ns(kMs);
    });
    clockid_t clock;
    ASSERT_EQ(0, pthread_getcpuclockid(worker.native_handle(), &clock));
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    timer_t timer;
    ASSERT_EQ(0, timer_create(clock, &event, &timer));
    const itimerspec value = {{0, 0}, {0, 20 * kMs}};
    ASSERT_EQ(0, timer_settime(timer, 0, &value, nullptr));
    sleep_ns(50 * kMs);
    EXPECT_TRUE(count == 0 || now_ns(clock) >= 20 * kMs) << "it slept";
    go = true;
    EXPECT_TRUE(eventually([] { return count == 1; }));
    EXPECT_GE(now_ns(clock), 20 * kMs);
    EXPECT_EQ(0, timer_delete(timer));
    stop = true;
    worker.join();
}

TEST_F(TimerSignals, ProfilingFindsWhoWorks) {
    std::atomic<bool> stop{false};
    std::atomic<pid_t> tid{0};
    std::thread worker([&] {
        tid = gettid();
        while (!stop) work_ns(kMs);
    });
    const itimerval value = {{0, 10'000}, {0, 10'000}};
    ASSERT_EQ(0, setitimer(ITIMER_PROF, &value, nullptr));
    int by_worker = 0, seen = 0;
    ASSERT_TRUE(eventually([&] {
        if (count > seen) {
            seen = count;
            by_worker += told == tid;
        }
        return by_worker >= 5;
    }));
    const itimerval off = {};
    setitimer(ITIMER_PROF, &off, nullptr);
    stop = true;
    worker.join();
}

std::atomic<int> notified;
void on_notify(union sigval value) { notified += value.sival_int; }

TEST_F(TimerSignals, GlibcsThreadNotification) {
    notified = 0;
    sigevent event = {};
    event.sigev_notify = SIGEV_THREAD;
    event.sigev_notify_function = on_notify;
    event.sigev_value.sival_int = 1;
    timer_t timer;
    ASSERT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
    const itimerspec value = {{0, 3 * kMs}, {0, 3 * kMs}};
    ASSERT_EQ(0, timer_settime(timer, 0, &value, nullptr));
    EXPECT_TRUE(eventually([] { return notified >= 5; }));
    EXPECT_EQ(0, timer_delete(timer));
}

}  // namespace
