// Futexes with priority inheritance: by the calls themselves and by glibc's mutexes.
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <thread>
#include <vector>

#include "threads_support.h"

namespace {

uint32_t own_tid() { return static_cast<uint32_t>(gettid()); }

TEST(ThreadsFutexPi, OwnerInTheWord) {
    Word word{0};
    EXPECT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
    EXPECT_EQ(word, own_tid());
    EXPECT_ERRNO(EDEADLK, futex(&word, FUTEX_LOCK_PI_PRIVATE));
    EXPECT_ERRNO(EDEADLK, futex(&word, FUTEX_TRYLOCK_PI_PRIVATE));
    EXPECT_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE), 0);
    EXPECT_EQ(word, 0u);
    EXPECT_ERRNO(EPERM, futex(&word, FUTEX_UNLOCK_PI_PRIVATE));
    EXPECT_EQ(futex(&word, FUTEX_TRYLOCK_PI_PRIVATE), 0);
    EXPECT_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE), 0);
    word = 0x3ffffff0;  // nobody's
    EXPECT_ERRNO(ESRCH, futex(&word, FUTEX_LOCK_PI_PRIVATE));
    word = FUTEX_OWNER_DIED;
    EXPECT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
    EXPECT_EQ(word, FUTEX_OWNER_DIED | own_tid());
}

TEST(ThreadsFutexPi, WaitersAndTimes) {
    Word word{0};
    ASSERT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
    std::thread([&] {
        EXPECT_ERRNO(EAGAIN, futex(&word, FUTEX_TRYLOCK_PI_PRIVATE));
        const timespec real = after_ms(CLOCK_REALTIME, 10);
        EXPECT_ERRNO(ETIMEDOUT, futex(&word, FUTEX_LOCK_PI_PRIVATE, 0, &real));
        const timespec monotonic = after_ms(CLOCK_MONOTONIC, 10);
        const long answer = futex(&word, FUTEX_LOCK_PI2_PRIVATE, 0, &monotonic);
        EXPECT_EQ(answer, -1);
        EXPECT_TRUE(errno == ETIMEDOUT || errno == ENOSYS) << errno;
        EXPECT_ERRNO(ENOSYS, futex(&word, FUTEX_LOCK_PI | FUTEX_CLOCK_REALTIME, 0, &real));
        EXPECT_ERRNO(EPERM, futex(&word, FUTEX_UNLOCK_PI_PRIVATE));
    }).join();
    EXPECT_EQ(word, FUTEX_WAITERS | own_tid());
    EXPECT_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE), 0);
    EXPECT_EQ(word, 0u);
}

TEST(ThreadsFutexPi, PassesOnFromOneToTheNext) {
    Word word{0};
    ASSERT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
    std::atomic<int> inside{0}, total{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 6; i++) {
        threads.emplace_back([&] {
            for (int n = 0; n < 50; n++) {
                ASSERT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
                EXPECT_EQ(inside++, 0);
                EXPECT_EQ(word & FUTEX_TID_MASK, own_tid());
                if (n % 8 == 0) sched_yield();
                inside--;
                total++;
                ASSERT_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE), 0);
            }
        });
    }
    usleep(10'000);
    ASSERT_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE), 0);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(total, 300);
    EXPECT_EQ(word & FUTEX_TID_MASK, 0u);
}

TEST(ThreadsFutexPi, FindsCircles) {
    Word first{0}, second{0};
    ASSERT_EQ(futex(&first, FUTEX_LOCK_PI_PRIVATE), 0);
    std::thread other([&] {
        ASSERT_EQ(futex(&second, FUTEX_LOCK_PI_PRIVATE), 0);
        ASSERT_EQ(futex(&first, FUTEX_LOCK_PI_PRIVATE), 0);
        EXPECT_EQ(futex(&first, FUTEX_UNLOCK_PI_PRIVATE), 0);
        EXPECT_EQ(futex(&second, FUTEX_UNLOCK_PI_PRIVATE), 0);
    });
    while (!(first & FUTEX_WAITERS)) usleep(100);
    EXPECT_TRUE(others_sleep(1));
    EXPECT_ERRNO(EDEADLK, futex(&second, FUTEX_LOCK_PI_PRIVATE));
    EXPECT_EQ(futex(&first, FUTEX_UNLOCK_PI_PRIVATE), 0);
    other.join();
}

// Who waits for a thread that ends gets the lock, and is told.
TEST(ThreadsFutexPi, OwnerEnds) {
    Word word{0};
    std::atomic<bool> locked{false}, may_end{false};
    std::thread owner([&] {
        ASSERT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
        locked = true;
        while (!may_end) usleep(100);
    });
    while (!locked) usleep(100);
    std::thread heir([&] {
        EXPECT_EQ(futex(&word, FUTEX_LOCK_PI_PRIVATE), 0);
        EXPECT_EQ(word & FUTEX_TID_MASK, own_tid());
        EXPECT_TRUE(word & FUTEX_OWNER_DIED);
        EXPECT_EQ(futex(&word, FUTEX_UNLOCK_PI_PRIVATE), 0);
    });
    while (!(word & FUTEX_WAITERS)) usleep(100);
    usleep(5000);
    may_end = true;
    owner.join();
    heir.join();
}

TEST(ThreadsFutexPi, RequeueArguments) {
    Word condition{0}, lock{0};
    EXPECT_ERRNO(EINVAL,
                 futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, nullptr, &condition, ~0u));
    EXPECT_ERRNO(EAGAIN, futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, nullptr, &lock, ~0u));
    const timespec soon = after_ms(CLOCK_MONOTONIC, 10);
    EXPECT_ERRNO(ETIMEDOUT,
                 futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, &soon, &lock, ~0u));
    EXPECT_ERRNO(EINVAL,
                 futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, second_count(1), &lock));
    EXPECT_ERRNO(EINVAL,
                 futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, second_count(1), &condition));
    EXPECT_ERRNO(EAGAIN,
                 futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, second_count(1), &lock, 1));
    EXPECT_EQ(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, second_count(1), &lock, 0), 0);
}

TEST(ThreadsFutexPi, RequeueGivesTheLockInTurn) {
    Word condition{0}, lock{0};
    std::atomic<int> waiting{0}, inside{0}, total{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; i++) {
        threads.emplace_back([&] {
            waiting++;
            ASSERT_EQ(futex(&condition, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, nullptr, &lock, ~0u), 0);
            EXPECT_EQ(inside++, 0);
            EXPECT_EQ(lock & FUTEX_TID_MASK, own_tid());
            usleep(1000);
            inside--;
            total++;
            EXPECT_EQ(futex(&lock, FUTEX_UNLOCK_PI_PRIVATE), 0);
        });
    }
    while (waiting < 5) usleep(100);
    EXPECT_TRUE(others_sleep(5));
    EXPECT_ERRNO(EINVAL, futex(&condition, FUTEX_WAKE_PRIVATE, 1));
    EXPECT_EQ(futex(&condition, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, second_count(INT_MAX), &lock, 0),
              5);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(total, 5);
}

class Mutex {
  public:
    explicit Mutex(bool is_robust = false) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
        if (is_robust) pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&mutex_, &attributes);
    }
    pthread_mutex_t* get() { return &mutex_; }

  private:
    pthread_mutex_t mutex_;
};

TEST(ThreadsFutexPi, MutexesOfGlibc) {
    Mutex mutex;
    int counter = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; i++) {
        threads.emplace_back([&] {
            for (int n = 0; n < 500; n++) {
                pthread_mutex_lock(mutex.get());
                const int seen = counter;
                if (n % 16 == 0) sched_yield();
                counter = seen + 1;
                pthread_mutex_unlock(mutex.get());
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(counter, 4000);
}

TEST(ThreadsFutexPi, RobustMutexOfGlibc) {
    Mutex mutex(true);
    std::thread([&] { pthread_mutex_lock(mutex.get()); }).join();
    EXPECT_EQ(pthread_mutex_lock(mutex.get()), EOWNERDEAD);
    EXPECT_EQ(pthread_mutex_consistent(mutex.get()), 0);
    EXPECT_EQ(pthread_mutex_unlock(mutex.get()), 0);
    // The same while somebody waits.
    std::atomic<bool> locked{false}, may_end{false};
    std::thread owner([&] {
        pthread_mutex_lock(mutex.get());
        locked = true;
        while (!may_end) usleep(100);
    });
    while (!locked) usleep(100);
    std::thread heir([&] {
        EXPECT_EQ(pthread_mutex_lock(mutex.get()), EOWNERDEAD);
        pthread_mutex_consistent(mutex.get());
        pthread_mutex_unlock(mutex.get());
    });
    usleep(20'000);
    may_end = true;
    owner.join();
    heir.join();
    EXPECT_EQ(pthread_mutex_lock(mutex.get()), 0);
    EXPECT_EQ(pthread_mutex_unlock(mutex.get()), 0);
}

// A thread of low priority that holds the lock gets through although one of middle priority
// burns the only CPU that they may use.
TEST(ThreadsFutexPi, OwnerInheritsPriority) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_param high = {30};
    if (sched_setscheduler(0, SCHED_FIFO, &high) != 0) GTEST_SKIP() << "not allowed";
    sched_setaffinity(0, sizeof(one), &one);
    Mutex mutex;
    std::atomic<int> step{0};
    std::atomic<bool> burning{true};
    std::thread low([&] {
        const sched_param lowest = {10};
        sched_setscheduler(0, SCHED_FIFO, &lowest);
        pthread_mutex_lock(mutex.get());
        step = 1;
        usleep(30'000);
        pthread_mutex_unlock(mutex.get());
    });
    while (step != 1) usleep(1000);
    std::thread middle([&] {
        const sched_param between = {20};
        sched_setscheduler(0, SCHED_FIFO, &between);
        const timespec end = after_ms(CLOCK_MONOTONIC, 20'000);
        timespec now = {};
        while (burning && now.tv_sec <= end.tv_sec) clock_gettime(CLOCK_MONOTONIC, &now);
        EXPECT_FALSE(burning) << "the owner did not inherit";
    });
    pthread_mutex_lock(mutex.get());
    burning = false;
    pthread_mutex_unlock(mutex.get());
    low.join();
    middle.join();
    const sched_param normal = {0};
    sched_setscheduler(0, SCHED_OTHER, &normal);
}

}  // namespace
