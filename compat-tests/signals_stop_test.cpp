// Signals that stop a process and let it go on, when it has several threads.
#include <algorithm>

#include "signals_threads_support.h"

namespace {

using SignalsStop = SignalsThreads;

// A timer is the only one that can continue a process that has stopped itself.
class Continuation {
  public:
    explicit Continuation(long after_ns) {
        sigevent event = {};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGCONT;
        EXPECT_EQ(0, timer_create(CLOCK_MONOTONIC, &event, &timer_));
        // Again and again: the first may come before the stop, where the machine stands still.
        const itimerspec value = {{0, after_ns}, {0, after_ns}};
        EXPECT_EQ(0, timer_settime(timer_, 0, &value, nullptr));
    }
    ~Continuation() { timer_delete(timer_); }

  private:
    timer_t timer_;
};

TEST_F(SignalsStop, StopStopsEveryThread) {
    std::atomic<bool> stop{false};
    std::atomic<long> turns{0}, longest{0};
    const auto now = [] {
        timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return time.tv_sec * kSecond + time.tv_nsec;
    };
    Worker busy([&] {
        long last = now();
        while (!stop) {
            const long moment = now();
            longest = std::max<long>(longest, moment - last);
            last = moment;
            turns++;
        }
    });
    int pipe_fds[2];
    ASSERT_EQ(0, pipe(pipe_fds));
    std::atomic<long> result{-1};
    Worker reader([&] {
        char byte;
        result = read(pipe_fds[0], &byte, 1);
    });
    ASSERT_TRUE(eventually([&] { return turns > 0; }));
    // Stopped for as long as this thread, or nearly: but a stop may be over soon after it began.
    long stopped = 0;
    while (stopped < 90 * kMs) {
        longest = 0;
        Continuation later(100 * kMs);
        const long start = now();
        kill(getpid(), SIGSTOP);
        stopped = now() - start;
    }
    EXPECT_TRUE(eventually([&] { return longest >= stopped / 2; }));
    EXPECT_EQ(-1, result) << "its read goes on";
    ASSERT_EQ(1, write(pipe_fds[1], "x", 1));
    reader.join();
    EXPECT_EQ(1, result);
    stop = true;
    busy.join();
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

TEST_F(SignalsStop, SigcontRunsItsHandlerToo) {
    set_handler(SIGCONT, note);
    Continuation later(30 * kMs);
    raise(SIGSTOP);
    EXPECT_TRUE(eventually([] { return handled >= 1; }));
    signal(SIGCONT, SIG_DFL);
}

TEST_F(SignalsStop, SleepsGoOnAfterAStop) {
    // restart_syscall(2): the end of the sleep stays where it was.
    timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    std::atomic<int> result{-1};
    Worker sleeper([&] {
        const timespec time = {0, 200 * kMs};
        result = nanosleep(&time, nullptr);
    });
    sleep_ns(20 * kMs);
    {
        Continuation later(50 * kMs);
        kill(getpid(), SIGSTOP);
        sleep_ns(kMs);
    }
    sleeper.join();
    clock_gettime(CLOCK_MONOTONIC, &after);
    EXPECT_EQ(0, result);
    const long took = (after.tv_sec - before.tv_sec) * kSecond + after.tv_nsec - before.tv_nsec;
    EXPECT_GE(took, 200 * kMs);
}

}  // namespace
