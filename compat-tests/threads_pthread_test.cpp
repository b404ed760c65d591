// The threads of POSIX as glibc makes them: their lives, their ends and their data.
#include <gtest/gtest.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>

#include <memory>

#include "threads_support.h"

namespace {

// Starts a thread of a lambda that needs no glue: its result is the thread's.
template <typename Function>
pthread_t start(Function& function, const pthread_attr_t* attributes = nullptr) {
    pthread_t thread;
    EXPECT_EQ(0, pthread_create(
                     &thread, attributes,
                     [](void* about) -> void* { return (*static_cast<Function*>(about))(); },
                     &function));
    return thread;
}
void* join(pthread_t thread) {
    void* result = nullptr;
    EXPECT_EQ(0, pthread_join(thread, &result));
    return result;
}

TEST(PthreadLife, ResultsAndJoins) {
    auto returns = [] { return reinterpret_cast<void*>(1); };
    auto exits = []() -> void* { pthread_exit(reinterpret_cast<void*>(2)); };
    EXPECT_EQ(reinterpret_cast<void*>(1), join(start(returns)));
    EXPECT_EQ(reinterpret_cast<void*>(2), join(start(exits)));
    EXPECT_EQ(EDEADLK, pthread_join(pthread_self(), nullptr));

    std::atomic<bool> may_end{false};
    auto waits = [&]() -> void* {
        while (!may_end) usleep(500);
        return nullptr;
    };
    const pthread_t thread = start(waits);
    EXPECT_EQ(EBUSY, pthread_tryjoin_np(thread, nullptr));
    timespec time = after_ms(CLOCK_REALTIME, 20);
    EXPECT_EQ(ETIMEDOUT, pthread_timedjoin_np(thread, nullptr, &time));
    time = after_ms(CLOCK_MONOTONIC, 20);
    EXPECT_EQ(ETIMEDOUT, pthread_clockjoin_np(thread, nullptr, CLOCK_MONOTONIC, &time));
    may_end = true;
    join(thread);
}

TEST(PthreadLife, DetachedOnesGoByThemselves) {
    static std::atomic<pid_t> tid;
    for (bool at_start : {true, false}) {
        tid = 0;
        auto tells = []() -> void* {
            tid = gettid();
            return nullptr;
        };
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        if (at_start) pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        const pthread_t thread = start(tells, &attributes);
        if (!at_start) {
            EXPECT_EQ(0, pthread_detach(thread));
        }
        EXPECT_TRUE(eventually([] { return tid != 0 && kill(tid, 0) == -1; }));
        pthread_attr_destroy(&attributes);
    }
}

TEST(PthreadLife, StacksAsAsked) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    EXPECT_EQ(EINVAL, pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN - 1));
    ASSERT_EQ(0, pthread_attr_setstacksize(&attributes, 1 << 20));
    ASSERT_EQ(0, pthread_attr_setguardsize(&attributes, 16384));
    auto looks = []() -> void* {
        pthread_attr_t own;
        void* address = nullptr;
        size_t size = 0, guard = 0;
        EXPECT_EQ(0, pthread_getattr_np(pthread_self(), &own));
        EXPECT_EQ(0, pthread_attr_getstack(&own, &address, &size));
        EXPECT_EQ(0, pthread_attr_getguardsize(&own, &guard));
        pthread_attr_destroy(&own);
        EXPECT_EQ(size_t{1} << 20, size);
        EXPECT_EQ(16384u, guard);
        const auto here = reinterpret_cast<uintptr_t>(&own);
        const auto base = reinterpret_cast<uintptr_t>(address);
        EXPECT_TRUE(base < here && here < base + size);
        return nullptr;
    };
    join(start(looks, &attributes));

    const size_t size = 256 * 1024;
    void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_EQ(0, pthread_attr_setstack(&attributes, memory, size));
    auto tells = []() -> void* { return __builtin_frame_address(0); };
    const auto used = static_cast<char*>(join(start(tells, &attributes)));
    EXPECT_TRUE(static_cast<char*>(memory) < used && used < static_cast<char*>(memory) + size);
    munmap(memory, size);
    pthread_attr_destroy(&attributes);

    // The first thread's: what the kernel made.
    pthread_attr_t own;
    void* address;
    size_t length;
    ASSERT_EQ(0, pthread_getattr_np(pthread_self(), &own));
    pthread_attr_getstack(&own, &address, &length);
    EXPECT_LT(address, &own);
    EXPECT_GT(static_cast<char*>(address) + length, reinterpret_cast<char*>(&own));
    pthread_attr_destroy(&own);
}

TEST(PthreadLife, AtforkIsAccepted) {
    EXPECT_EQ(0, pthread_atfork([] {}, [] {}, [] {}));
    EXPECT_EQ(0, pthread_atfork(nullptr, nullptr, nullptr));
}

std::atomic<int> cleaned;
void clean_up(void* by) { cleaned = cleaned * 10 + static_cast<int>(reinterpret_cast<long>(by)); }

// Cancels a thread in the middle of what it does.
template <typename Function>
void* cancel_in(Function function) {
    std::atomic<bool> is_ready{false};
    auto program = [&]() -> void* {
        void* result = nullptr;
        pthread_cleanup_push(clean_up, reinterpret_cast<void*>(2));
        pthread_cleanup_push(clean_up, reinterpret_cast<void*>(1));
        is_ready = true;
        result = function();
        pthread_cleanup_pop(0);
        pthread_cleanup_pop(0);
        return result;
    };
    cleaned = 0;
    const pthread_t thread = start(program);
    while (!is_ready) usleep(100);
    usleep(5'000);
    EXPECT_EQ(0, pthread_cancel(thread));
    return join(thread);
}

TEST(PthreadCancel, CallsThatWaitAreWhereItHappens) {
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
    char byte;
    const std::function<void()> waits[] = {
        [&] { (void)!read(ends[0], &byte, 1); },
        [] { sleep(100); },
        [] { pause(); },
        [&] { sem_wait(&semaphore); },
        [&] {
            pthread_mutex_lock(&mutex);
            pthread_cleanup_push([](void* m) { pthread_mutex_unlock((pthread_mutex_t*)m); },
                                 &mutex);
            pthread_cond_wait(&condition, &mutex);
            pthread_cleanup_pop(1);
        },
        [] {
            for (;;) {
                pthread_testcancel();
                usleep(100);
            }
        },
    };
    for (const auto& wait : waits) {
        EXPECT_EQ(PTHREAD_CANCELED, cancel_in([&]() -> void* {
                      wait();
                      return nullptr;
                  }));
        EXPECT_EQ(12, cleaned) << "the last pushed comes first";
    }
    EXPECT_EQ(0, pthread_mutex_trylock(&mutex)) << "a condition's waiter has the mutex again";
    for (int fd : ends) close(fd);
}

// In a frame with clean-ups, C++ lets nothing be thrown but by calls, and by those only that it
// believes may throw: so a function of its own, by way of a pointer.
void spin_for_ever() {
    for (;;) asm volatile("pause");
}
void (*volatile spin)() = spin_for_ever;

TEST(PthreadCancel, AsynchronousAnywhere) {
    EXPECT_EQ(PTHREAD_CANCELED, cancel_in([]() -> void* {
                  pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
                  spin();
                  return nullptr;
              }));
    EXPECT_EQ(12, cleaned);
}

TEST(PthreadCancel, CanWait) {
    static std::atomic<bool> was_asked;
    was_asked = false;
    std::atomic<bool> passed{false};
    std::atomic<bool> is_off{false};
    auto program = [&]() -> void* {
        int old;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
        EXPECT_EQ(PTHREAD_CANCEL_ENABLE, old);
        is_off = true;
        while (!was_asked) usleep(500);
        usleep(1000);
        passed = true;
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
        pthread_testcancel();
        return nullptr;
    };
    const pthread_t thread = start(program);
    while (!is_off) usleep(100);
    EXPECT_EQ(0, pthread_cancel(thread));
    was_asked = true;
    EXPECT_EQ(PTHREAD_CANCELED, join(thread));
    EXPECT_TRUE(passed);
}

TEST(PthreadCancel, RunsDestructors) {
    static std::atomic<int> destroyed;
    destroyed = 0;
    struct Local {
        ~Local() { destroyed++; }
    };
    cancel_in([]() -> void* {
        Local local;
        sleep(100);
        return nullptr;
    });
    EXPECT_EQ(1, destroyed);
}

TEST(PthreadData, DestructorsAtTheEnd) {
    static pthread_key_t first, second;
    static std::atomic<int> first_calls, second_calls;
    first_calls = second_calls = 0;
    ASSERT_EQ(0, pthread_key_create(&first, [](void* value) {
                  // Sets it again, which has it called again, but not for ever.
                  first_calls++;
                  pthread_setspecific(first, value);
              }));
    ASSERT_EQ(0, pthread_key_create(&second, [](void* value) {
                  second_calls += static_cast<int>(reinterpret_cast<long>(value));
              }));
    auto program = []() -> void* {
        EXPECT_EQ(nullptr, pthread_getspecific(first));
        pthread_setspecific(first, reinterpret_cast<void*>(1));
        pthread_setspecific(second, reinterpret_cast<void*>(7));
        return pthread_getspecific(second);
    };
    EXPECT_EQ(reinterpret_cast<void*>(7), join(start(program)));
    EXPECT_EQ(PTHREAD_DESTRUCTOR_ITERATIONS, first_calls);
    EXPECT_EQ(7, second_calls);
    EXPECT_EQ(0, pthread_key_delete(first));
    EXPECT_EQ(0, pthread_key_delete(second));
    EXPECT_EQ(EINVAL, pthread_key_delete(second));
    EXPECT_EQ(EINVAL, pthread_setspecific(second, &second));
}

TEST(PthreadData, ManyKeys) {
    std::vector<pthread_key_t> keys;
    for (pthread_key_t key; pthread_key_create(&key, nullptr) == 0;) keys.push_back(key);
    EXPECT_GT(keys.size(), 900u);
    EXPECT_LE(keys.size(), size_t{PTHREAD_KEYS_MAX});
    for (pthread_key_t key : keys) {
        pthread_setspecific(key, reinterpret_cast<void*>(static_cast<uintptr_t>(key) + 1));
    }
    for (pthread_key_t key : keys) {
        EXPECT_EQ(key + 1, reinterpret_cast<uintptr_t>(pthread_getspecific(key)));
        pthread_key_delete(key);
    }
}

TEST(PthreadData, OnceForAll) {
    static pthread_once_t control = PTHREAD_ONCE_INIT;
    static std::atomic<int> calls, passed;
    calls = passed = 0;
    Threads threads;
    for (int i = 0; i < 8; i++) {
        threads.start([] {
            pthread_once(&control, [] {
                usleep(10'000);
                calls++;
            });
            if (calls == 1) passed++;
        });
    }
    for (std::thread& thread : threads.all) thread.join();
    threads.all.clear();
    EXPECT_EQ(1, calls);
    EXPECT_EQ(8, passed) << "nobody passes before it is done";
}

}  // namespace
