// man 3 pthread_cond_wait and its like: no signal is lost, to nobody's cancellation and to no time
// limit, and the variable may go as soon as its waiters have been told.
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <threads.h>
#include <time.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace {

struct Monitor {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
};

class Held {
  public:
    explicit Held(pthread_mutex_t& mutex) : mutex_(mutex) { pthread_mutex_lock(&mutex_); }
    ~Held() { pthread_mutex_unlock(&mutex_); }

  private:
    pthread_mutex_t& mutex_;
};

timespec from_now(clockid_t clock, long ns) {
    timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += ns;
    time.tv_sec += time.tv_nsec / 1'000'000'000;
    time.tv_nsec %= 1'000'000'000;
    return time;
}

// Waiters that each want one token.
struct Tokens : Monitor {
    int count = 0;
    std::atomic<int> waiting{0}, taken{0}, given_up{0};

    void take() {
        Held held(mutex);
        waiting++;
        while (count == 0) pthread_cond_wait(&condition, &mutex);
        count--;
        taken++;
    }
    void wait_for_waiters(int number) const {
        while (waiting < number) sched_yield();
    }
};

void join(std::vector<std::thread>& threads) {
    for (std::thread& thread : threads) thread.join();
}

TEST(Condition, ASignalForEachWaiter) {
    for (const bool is_held : {true, false}) {
        Tokens tokens;
        std::vector<std::thread> threads;
        for (int i = 0; i < 20; i++) threads.emplace_back([&] { tokens.take(); });
        tokens.wait_for_waiters(20);
        for (int i = 0; i < 20; i++) {
            pthread_mutex_lock(&tokens.mutex);
            tokens.count++;
            if (is_held) pthread_cond_signal(&tokens.condition);
            pthread_mutex_unlock(&tokens.mutex);
            if (!is_held) pthread_cond_signal(&tokens.condition);
        }
        join(threads);
        EXPECT_EQ(20, tokens.taken);
        EXPECT_EQ(0, tokens.count);
    }
}

TEST(Condition, ABroadcastForAll) {
    Tokens tokens;
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; i++) threads.emplace_back([&] { tokens.take(); });
    tokens.wait_for_waiters(20);
    {
        Held held(tokens.mutex);
        tokens.count = 20;
    }
    pthread_cond_broadcast(&tokens.condition);
    join(threads);
    EXPECT_EQ(20, tokens.taken);
}

TEST(Condition, NobodyWaits) {
    Monitor monitor;
    EXPECT_EQ(0, pthread_cond_signal(&monitor.condition));
    EXPECT_EQ(0, pthread_cond_broadcast(&monitor.condition));
    // A signal is not kept.
    Held held(monitor.mutex);
    const timespec soon = from_now(CLOCK_REALTIME, 1'000'000);
    EXPECT_EQ(ETIMEDOUT, pthread_cond_timedwait(&monitor.condition, &monitor.mutex, &soon));
    EXPECT_EQ(0, pthread_cond_destroy(&monitor.condition));
}

// Signals and time limits meet all the time; a signal that is used up by a waiter which gives up
// would leave a token and a waiter behind.
TEST(Condition, SignalsAgainstTimeLimits) {
    constexpr int kThreads = 6, kTokens = 600;
    Tokens tokens;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([&tokens, i] {
            for (int n = 0; tokens.taken < kTokens; n++) {
                Held held(tokens.mutex);
                const clockid_t clock = i % 2 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
                const timespec limit = from_now(clock, 1000 * (1 + (n * 7 + i) % 100));
                int error = 0;
                while (tokens.count == 0 && error == 0) {
                    error = pthread_cond_clockwait(&tokens.condition, &tokens.mutex, clock, &limit);
                }
                ASSERT_TRUE(error == 0 || error == ETIMEDOUT) << error;
                if (tokens.count > 0) {
                    tokens.count--;
                    tokens.taken++;
                } else {
                    tokens.given_up++;
                }
            }
        });
    }
    for (int i = 0; i < kTokens; i++) {
        {
            Held held(tokens.mutex);
            tokens.count++;
            pthread_cond_signal(&tokens.condition);
        }
        const timespec pause = {0, 1000 * (i % 60)};
        nanosleep(&pause, nullptr);
    }
    join(threads);
    EXPECT_EQ(kTokens, tokens.taken);
}

// The last wait has no limit: it hangs if a signal went to one that had given up.
TEST(Condition, ASignalIsNotLostToATimeLimit) {
    for (int round = 0; round < 200; round++) {
        Tokens tokens;
        std::thread patient([&] { tokens.take(); });
        std::thread hasty([&] {
            Held held(tokens.mutex);
            const timespec soon = from_now(CLOCK_MONOTONIC, 20'000 + 1000 * (round % 50));
            while (tokens.count == 0) {
                if (pthread_cond_clockwait(&tokens.condition, &tokens.mutex, CLOCK_MONOTONIC,
                                           &soon) == ETIMEDOUT) {
                    return;
                }
            }
            tokens.count--;
            tokens.taken++;
        });
        tokens.wait_for_waiters(1);
        {
            Held held(tokens.mutex);
            tokens.count += 2;  // enough for both
            pthread_cond_signal(&tokens.condition);
            pthread_cond_signal(&tokens.condition);
        }
        patient.join();
        hasty.join();
        EXPECT_GE(tokens.taken, 1);
    }
}

void* take_token(void* tokens) {
    static_cast<Tokens*>(tokens)->take();
    return nullptr;
}

struct CancelledWaiter : Tokens {
    static void* wait(void* self) {
        auto& tokens = *static_cast<CancelledWaiter*>(self);
        pthread_mutex_lock(&tokens.mutex);
        // Runs with the mutex held.
        pthread_cleanup_push([](void* mutex) {
            EXPECT_EQ(EBUSY, pthread_mutex_trylock(static_cast<pthread_mutex_t*>(mutex)));
            pthread_mutex_unlock(static_cast<pthread_mutex_t*>(mutex));
        }, &tokens.mutex);
        tokens.waiting++;
        while (tokens.count == 0) pthread_cond_wait(&tokens.condition, &tokens.mutex);
        tokens.count--;
        tokens.taken++;
        pthread_cleanup_pop(1);
        return nullptr;
    }
};

TEST(Condition, CancelledWithTheMutexHeld) {
    CancelledWaiter tokens;
    pthread_t thread;
    ASSERT_EQ(0, pthread_create(&thread, nullptr, CancelledWaiter::wait, &tokens));
    tokens.wait_for_waiters(1);
    { Held held(tokens.mutex); }  // it waits by now
    ASSERT_EQ(0, pthread_cancel(thread));
    void* result;
    ASSERT_EQ(0, pthread_join(thread, &result));
    EXPECT_EQ(PTHREAD_CANCELED, result);
    EXPECT_EQ(0, pthread_mutex_trylock(&tokens.mutex));
    pthread_mutex_unlock(&tokens.mutex);
    EXPECT_EQ(0, pthread_cond_destroy(&tokens.condition));
}

TEST(Condition, ASignalIsNotLostToACancellation) {
    for (int round = 0; round < 200; round++) {
        CancelledWaiter tokens;
        pthread_t cancelled, other;
        ASSERT_EQ(0, pthread_create(&cancelled, nullptr, CancelledWaiter::wait, &tokens));
        ASSERT_EQ(0, pthread_create(&other, nullptr, take_token, &tokens));
        tokens.wait_for_waiters(2);
        { Held held(tokens.mutex); }
        std::thread canceller([&] { pthread_cancel(cancelled); });
        {
            Held held(tokens.mutex);
            tokens.count++;
        }
        pthread_cond_signal(&tokens.condition);
        canceller.join();
        void* result;
        pthread_join(cancelled, &result);
        if (result != PTHREAD_CANCELED) {  // it took the token: one for the other
            Held held(tokens.mutex);
            tokens.count++;
            pthread_cond_signal(&tokens.condition);
        }
        pthread_join(other, nullptr);
        EXPECT_EQ(result == PTHREAD_CANCELED ? 1 : 2, tokens.taken);
    }
}

// POSIX: pthread_cond_destroy(3) is safe as soon as nobody is blocked, though the broadcast that
// woke the last one may not have returned.
TEST(Condition, GoesWithItsLastWaiter) {
    struct Box : Monitor {
        bool is_open = false;
    };
    for (int round = 0; round < 300; round++) {
        auto* box = new Box;
        std::atomic<bool> is_ready{false};
        std::thread waiter([&] {
            pthread_mutex_lock(&box->mutex);
            is_ready = true;
            while (!box->is_open) pthread_cond_wait(&box->condition, &box->mutex);
            pthread_mutex_unlock(&box->mutex);
            pthread_cond_destroy(&box->condition);
            memset(&box->condition, 0xff, sizeof(box->condition));
        });
        while (!is_ready) sched_yield();
        pthread_mutex_lock(&box->mutex);
        box->is_open = true;
        pthread_cond_broadcast(&box->condition);
        pthread_mutex_unlock(&box->mutex);
        waiter.join();
        delete box;
    }
}

TEST(Condition, WrongArguments) {
    Monitor monitor;
    Held held(monitor.mutex);
    const timespec no_time = {0, 1'000'000'000}, negative = {0, -1}, long_ago = {-5, 0};
    EXPECT_EQ(EINVAL, pthread_cond_timedwait(&monitor.condition, &monitor.mutex, &no_time));
    EXPECT_EQ(EINVAL, pthread_cond_timedwait(&monitor.condition, &monitor.mutex, &negative));
    EXPECT_EQ(ETIMEDOUT, pthread_cond_timedwait(&monitor.condition, &monitor.mutex, &long_ago));
    const timespec past = {1, 0};
    EXPECT_EQ(ETIMEDOUT, pthread_cond_timedwait(&monitor.condition, &monitor.mutex, &past));
    EXPECT_EQ(EINVAL, pthread_cond_clockwait(&monitor.condition, &monitor.mutex,
                                             CLOCK_PROCESS_CPUTIME_ID, &past));
}

class ConditionMutex : public ::testing::TestWithParam<int> {};

// Of every kind, and with priority inheritance: the mutex comes back as it was.
TEST_P(ConditionMutex, IsReleasedAndTakenAgain) {
    for (const int protocol : {PTHREAD_PRIO_NONE, PTHREAD_PRIO_INHERIT}) {
        for (const int robustness : {PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_ROBUST}) {
            pthread_mutexattr_t attributes;
            pthread_mutexattr_init(&attributes);
            pthread_mutexattr_settype(&attributes, GetParam());
            pthread_mutexattr_setprotocol(&attributes, protocol);
            pthread_mutexattr_setrobust(&attributes, robustness);
            Monitor monitor;
            ASSERT_EQ(0, pthread_mutex_init(&monitor.mutex, &attributes));
            bool is_told = false, has_waited = false;
            std::thread waiter([&] {
                Held held(monitor.mutex);
                has_waited = true;
                while (!is_told) {
                    ASSERT_EQ(0, pthread_cond_wait(&monitor.condition, &monitor.mutex));
                }
            });
            for (;;) {
                Held held(monitor.mutex);
                if (!has_waited) continue;
                is_told = true;
                pthread_cond_signal(&monitor.condition);
                break;
            }
            waiter.join();
            EXPECT_EQ(0, pthread_mutex_lock(&monitor.mutex));
            EXPECT_EQ(0, pthread_mutex_unlock(&monitor.mutex));
            EXPECT_EQ(0, pthread_mutex_destroy(&monitor.mutex));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ConditionMutex,
                         ::testing::Values(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK,
                                           PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ADAPTIVE_NP));

TEST(Condition, NotTheMutexesOwner) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    Monitor monitor;
    pthread_mutex_init(&monitor.mutex, &attributes);
    EXPECT_EQ(EPERM, pthread_cond_wait(&monitor.condition, &monitor.mutex));
    EXPECT_EQ(0, pthread_cond_signal(&monitor.condition));
}

// A handler runs while the thread waits, and the wait goes on.
TEST(Condition, SignalHandlersInTheMiddle) {
    static std::atomic<int> handled;
    handled = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) { handled++; };
    sigaction(SIGUSR1, &action, nullptr);
    Tokens tokens;
    std::thread waiter([&] { tokens.take(); });
    tokens.wait_for_waiters(1);
    for (int i = 1; i <= 20; i++) {
        pthread_kill(waiter.native_handle(), SIGUSR1);
        while (handled < i) sched_yield();
    }
    EXPECT_EQ(0, tokens.taken);
    {
        Held held(tokens.mutex);
        tokens.count++;
        pthread_cond_signal(&tokens.condition);
    }
    waiter.join();
    EXPECT_EQ(1, tokens.taken);
    signal(SIGUSR1, SIG_DFL);
}

TEST(Condition, OfCThreads) {
    mtx_t mutex;
    cnd_t condition;
    ASSERT_EQ(thrd_success, mtx_init(&mutex, mtx_timed));
    ASSERT_EQ(thrd_success, cnd_init(&condition));
    bool is_told = false;
    std::thread waiter([&] {
        mtx_lock(&mutex);
        while (!is_told) ASSERT_EQ(thrd_success, cnd_wait(&condition, &mutex));
        const timespec soon = from_now(CLOCK_REALTIME, 1'000'000);
        EXPECT_EQ(thrd_timedout, cnd_timedwait(&condition, &mutex, &soon));
        mtx_unlock(&mutex);
    });
    mtx_lock(&mutex);
    is_told = true;
    EXPECT_EQ(thrd_success, cnd_broadcast(&condition));  // before the wait with a limit
    mtx_unlock(&mutex);
    waiter.join();
    cnd_destroy(&condition);
}

}  // namespace
