// The threads of POSIX as glibc makes them: what they wait by, alone and in shared memory.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <semaphore.h>
#include <sys/mman.h>

#include "threads_support.h"

namespace {

TEST(PthreadBarrier, AllOrNobody) {
    constexpr int kThreads = 5, kRounds = 50;
    pthread_barrier_t barrier;
    EXPECT_EQ(EINVAL, pthread_barrier_init(&barrier, nullptr, 0));
    ASSERT_EQ(0, pthread_barrier_init(&barrier, nullptr, kThreads));
    std::atomic<int> arrived{0}, serial{0}, early{0};
    {
        Threads threads;
        for (int i = 0; i < kThreads; i++) {
            threads.start([&] {
                for (int round = 1; round <= kRounds; round++) {
                    arrived++;
                    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) serial++;
                    if (arrived < round * kThreads) early++;
                    pthread_barrier_wait(&barrier);
                }
            });
        }
    }
    EXPECT_EQ(0, early);
    EXPECT_EQ(kRounds, serial);
    EXPECT_EQ(0, pthread_barrier_destroy(&barrier));
}

TEST(PthreadRwlock, ReadersTogetherWritersAlone) {
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    int a = 0, b = 0;
    std::atomic<int> torn{0}, readers{0}, most{0};
    {
        Threads threads;
        for (int i = 0; i < 4; i++) {
            threads.start([&] {
                for (int round = 0; round < 200; round++) {
                    pthread_rwlock_rdlock(&lock);
                    most = std::max<int>(most, ++readers);
                    if (a != b) torn++;
                    if (round % 20 == 0) usleep(100);
                    readers--;
                    pthread_rwlock_unlock(&lock);
                }
            });
        }
        for (int i = 0; i < 2; i++) {
            threads.start([&] {
                for (int round = 0; round < 200; round++) {
                    pthread_rwlock_wrlock(&lock);
                    if (readers != 0) torn++;
                    a++;
                    if (round % 20 == 0) sched_yield();
                    b++;
                    pthread_rwlock_unlock(&lock);
                }
            });
        }
    }
    EXPECT_EQ(0, torn);
    EXPECT_EQ(400, a);
    EXPECT_EQ(400, b);
    EXPECT_GT(most, 1);
}

TEST(PthreadRwlock, TriesAndTimes) {
    pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
    ASSERT_EQ(0, pthread_rwlock_rdlock(&lock));
    std::thread([&] {
        EXPECT_EQ(0, pthread_rwlock_tryrdlock(&lock));
        EXPECT_EQ(0, pthread_rwlock_unlock(&lock));
        EXPECT_EQ(EBUSY, pthread_rwlock_trywrlock(&lock));
        timespec time = after_ms(CLOCK_REALTIME, 10);
        EXPECT_EQ(ETIMEDOUT, pthread_rwlock_timedwrlock(&lock, &time));
        time = after_ms(CLOCK_MONOTONIC, 10);
        EXPECT_EQ(ETIMEDOUT, pthread_rwlock_clockwrlock(&lock, CLOCK_MONOTONIC, &time));
    }).join();
    EXPECT_EQ(0, pthread_rwlock_unlock(&lock));
    ASSERT_EQ(0, pthread_rwlock_wrlock(&lock));
    EXPECT_EQ(EDEADLK, pthread_rwlock_rdlock(&lock));
    EXPECT_EQ(EDEADLK, pthread_rwlock_wrlock(&lock));
    std::thread([&] {
        const timespec time = after_ms(CLOCK_REALTIME, 10);
        EXPECT_EQ(ETIMEDOUT, pthread_rwlock_timedrdlock(&lock, &time));
    }).join();
    EXPECT_EQ(0, pthread_rwlock_unlock(&lock));
}

TEST(PthreadMutex, Kinds) {
    const auto with_type = [](int type, auto use) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_settype(&attributes, type);
        pthread_mutex_t mutex;
        pthread_mutex_init(&mutex, &attributes);
        use(&mutex);
        pthread_mutexattr_destroy(&attributes);
        EXPECT_EQ(0, pthread_mutex_destroy(&mutex));
    };
    with_type(PTHREAD_MUTEX_ERRORCHECK, [](pthread_mutex_t* mutex) {
        EXPECT_EQ(0, pthread_mutex_lock(mutex));
        EXPECT_EQ(EDEADLK, pthread_mutex_lock(mutex));
        std::thread([=] { EXPECT_EQ(EPERM, pthread_mutex_unlock(mutex)); }).join();
        EXPECT_EQ(EBUSY, pthread_mutex_destroy(mutex));
        EXPECT_EQ(0, pthread_mutex_unlock(mutex));
    });
    with_type(PTHREAD_MUTEX_RECURSIVE, [](pthread_mutex_t* mutex) {
        for (int i = 0; i < 3; i++) EXPECT_EQ(0, pthread_mutex_lock(mutex));
        for (int i = 0; i < 3; i++) {
            std::thread([=] { EXPECT_EQ(EBUSY, pthread_mutex_trylock(mutex)); }).join();
            EXPECT_EQ(0, pthread_mutex_unlock(mutex));
        }
    });
    with_type(PTHREAD_MUTEX_NORMAL, [](pthread_mutex_t* mutex) {
        EXPECT_EQ(0, pthread_mutex_lock(mutex));
        timespec time = after_ms(CLOCK_REALTIME, 10);
        EXPECT_EQ(ETIMEDOUT, pthread_mutex_timedlock(mutex, &time));
        time = after_ms(CLOCK_MONOTONIC, 10);
        EXPECT_EQ(ETIMEDOUT, pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &time));
        EXPECT_EQ(0, pthread_mutex_unlock(mutex));
    });
}

TEST(PthreadMutex, SpinLocks) {
    pthread_spinlock_t lock;
    ASSERT_EQ(0, pthread_spin_init(&lock, PTHREAD_PROCESS_PRIVATE));
    int count = 0;
    {
        Threads threads;
        for (int i = 0; i < 3; i++) {
            threads.start([&] {
                for (int round = 0; round < 2000; round++) {
                    pthread_spin_lock(&lock);
                    count++;
                    pthread_spin_unlock(&lock);
                }
            });
        }
    }
    EXPECT_EQ(6000, count);
    EXPECT_EQ(0, pthread_spin_lock(&lock));
    EXPECT_EQ(EBUSY, pthread_spin_trylock(&lock));
    EXPECT_EQ(0, pthread_spin_unlock(&lock));
    pthread_spin_destroy(&lock);
}

TEST(PthreadCondition, TimesOnBothClocks) {
    for (clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC}) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        ASSERT_EQ(0, pthread_condattr_setclock(&attributes, clock));
        pthread_cond_t condition;
        pthread_cond_init(&condition, &attributes);
        pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        pthread_mutex_lock(&mutex);
        const timespec time = after_ms(clock, 30);
        EXPECT_EQ(ETIMEDOUT, pthread_cond_timedwait(&condition, &mutex, &time));
        timespec now;
        clock_gettime(clock, &now);
        EXPECT_TRUE(now.tv_sec > time.tv_sec ||
                    (now.tv_sec == time.tv_sec && now.tv_nsec >= time.tv_nsec));
        const timespec other = after_ms(CLOCK_MONOTONIC, 10);
        EXPECT_EQ(ETIMEDOUT,
                  pthread_cond_clockwait(&condition, &mutex, CLOCK_MONOTONIC, &other));
        EXPECT_EQ(EBUSY, pthread_mutex_trylock(&mutex));
        pthread_mutex_unlock(&mutex);
        pthread_cond_destroy(&condition);
        pthread_condattr_destroy(&attributes);
    }
}

// What processes would share, in memory that is mapped twice.
struct Shared {
    pthread_mutex_t mutex;
    pthread_cond_t condition;
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    sem_t semaphore;
    int turn, count;

    void set_up() {
        pthread_mutexattr_t for_mutex;
        pthread_mutexattr_init(&for_mutex);
        pthread_mutexattr_setpshared(&for_mutex, PTHREAD_PROCESS_SHARED);
        pthread_mutex_init(&mutex, &for_mutex);
        pthread_condattr_t for_condition;
        pthread_condattr_init(&for_condition);
        pthread_condattr_setpshared(&for_condition, PTHREAD_PROCESS_SHARED);
        pthread_cond_init(&condition, &for_condition);
        pthread_rwlockattr_t for_rwlock;
        pthread_rwlockattr_init(&for_rwlock);
        pthread_rwlockattr_setpshared(&for_rwlock, PTHREAD_PROCESS_SHARED);
        pthread_rwlock_init(&rwlock, &for_rwlock);
        pthread_barrierattr_t for_barrier;
        pthread_barrierattr_init(&for_barrier);
        pthread_barrierattr_setpshared(&for_barrier, PTHREAD_PROCESS_SHARED);
        pthread_barrier_init(&barrier, &for_barrier, 2);
        sem_init(&semaphore, 1, 0);
        turn = count = 0;
    }
};

TEST(PthreadShared, ObjectsMeetInTwoMappings) {
    const int fd = memfd_create("shared", 0);
    ASSERT_EQ(0, ftruncate(fd, 4096));
    Shared* views[2];
    for (Shared*& view : views) {
        view = static_cast<Shared*>(
            mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
        ASSERT_NE(MAP_FAILED, static_cast<void*>(view));
    }
    views[0]->set_up();
    constexpr int kRounds = 100;
    {
        Threads threads;
        for (int side = 0; side < 2; side++) {
            threads.start([side, &own = *views[side]] {
                for (int round = 0; round < kRounds; round++) {
                    pthread_mutex_lock(&own.mutex);
                    while (own.turn != side) pthread_cond_wait(&own.condition, &own.mutex);
                    own.turn = 1 - side;
                    pthread_cond_signal(&own.condition);
                    pthread_mutex_unlock(&own.mutex);
                    pthread_barrier_wait(&own.barrier);
                    pthread_rwlock_wrlock(&own.rwlock);
                    own.count++;
                    pthread_rwlock_unlock(&own.rwlock);
                    if (side == 0) {
                        sem_post(&own.semaphore);
                    } else {
                        sem_wait(&own.semaphore);
                    }
                }
            });
        }
    }
    EXPECT_EQ(2 * kRounds, views[0]->count);
    for (Shared* view : views) munmap(view, sizeof(Shared));
    close(fd);
}

TEST(PthreadSemaphore, CountsAndTimes) {
    sem_t semaphore;
    ASSERT_EQ(0, sem_init(&semaphore, 0, 2));
    int value;
    EXPECT_EQ(0, sem_wait(&semaphore));
    EXPECT_EQ(0, sem_trywait(&semaphore));
    EXPECT_ERRNO(EAGAIN, sem_trywait(&semaphore));
    timespec time = after_ms(CLOCK_REALTIME, 10);
    EXPECT_ERRNO(ETIMEDOUT, sem_timedwait(&semaphore, &time));
    time = after_ms(CLOCK_MONOTONIC, 10);
    EXPECT_ERRNO(ETIMEDOUT, sem_clockwait(&semaphore, CLOCK_MONOTONIC, &time));
    EXPECT_EQ(0, sem_post(&semaphore));
    EXPECT_EQ(0, sem_getvalue(&semaphore, &value));
    EXPECT_EQ(1, value);
    sem_destroy(&semaphore);

    sem_t* named = sem_open("/coracle-semaphore", O_CREAT | O_EXCL, 0600, 1);
    ASSERT_NE(SEM_FAILED, named);
    sem_t* same = sem_open("/coracle-semaphore", 0);
    EXPECT_EQ(named, same);
    EXPECT_EQ(0, sem_wait(same));
    EXPECT_ERRNO(EAGAIN, sem_trywait(named));
    EXPECT_EQ(0, sem_unlink("/coracle-semaphore"));
    sem_close(same);
    sem_close(named);
}

}  // namespace
