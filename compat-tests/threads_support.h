// What the threads_* tests share, and others that start threads.
#pragma once

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "expect_errno.h"

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

// Sleeps the whole time, whatever signals come.
inline void sleep_ns(long time) {
    timespec rest = {time / kSecond, time % kSecond};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {}
}

// Whether the predicate holds within about twenty seconds.
template <typename Predicate>
bool eventually(Predicate predicate) {
    for (int i = 0; i < 20'000; i++) {
        if (predicate()) return true;
        sleep_ns(kMs);
    }
    return false;
}

// Whether the predicate comes to hold for three looks in a row.
template <typename Predicate>
bool at_last(Predicate predicate) {
    int looks = 0;
    return eventually([&] {
        looks = predicate() ? looks + 1 : 0;
        return looks == 3;
    });
}

// Whether a thread of the process sleeps in the kernel. It may do so on its way, for a lock of libc's.
inline bool sleeps(pid_t tid) {
    std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/stat");
    std::string stat;
    std::getline(file, stat);
    const size_t name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat[name_end + 2] == 'S';
}

// Waits until a thread sleeps in the kernel.
inline bool asleep(pid_t tid) {
    return at_last([tid] { return sleeps(tid); });
}

// Waits until so many threads sleep in the kernel, and there are no others but the caller.
inline bool others_sleep(int count) {
    return at_last([count] {
        int sleeping = 0;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            const pid_t tid = std::stoi(task.path().filename());
            if (tid == gettid()) continue;
            if (!sleeps(tid)) return false;
            sleeping++;
        }
        return sleeping == count;
    });
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
