// What the threads_* tests share, and others that start threads.
#pragma once

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "expect_errno.h"
#include "thread_waits.h"

// A word that threads wait on.
using Word = std::atomic<uint32_t>;

inline long futex(void* word, int operation, uint32_t value = 0, const void* timeout = nullptr,
                  void* word2 = nullptr, uint32_t value3 = 0) {
    return syscall(SYS_futex, word, operation, value, timeout, word2, value3);
}
// The second number of operations that take one in the place of their timeout.
inline const void* second_count(unsigned long number) {
    return reinterpret_cast<const void*>(number);
}

constexpr long kMs = 1'000'000, kSecond = 1'000'000'000;  // in nanoseconds

inline timespec after_ms(clockid_t clock, long milliseconds) {
    timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += milliseconds * kMs;
    time.tv_sec += time.tv_nsec / kSecond;
    time.tv_nsec %= kSecond;
    return time;
}

// Threads that are joined at the end of their scope.
struct Threads {
    std::vector<std::thread> all;
    ~Threads() {
        for (std::thread& thread : all) thread.join();
    }
    void start(std::function<void()> function) { all.emplace_back(std::move(function)); }
};

// A thread that does nothing until the end of its scope.
class Sleeper {
  public:
    Sleeper() {
        thread_ = std::thread([this] {
            tid_ = gettid();
            while (!may_end_) usleep(500);
        });
        while (tid_ == 0) usleep(100);
    }
    ~Sleeper() {
        may_end_ = true;
        thread_.join();
    }
    pid_t tid() const { return tid_; }
    pthread_t handle() { return thread_.native_handle(); }

  private:
    std::atomic<pid_t> tid_{0};
    std::atomic<bool> may_end_{false};
    std::thread thread_;
};
