// A lock that may be held across sleep points, such as a copy to application memory that faults.
// Without contention it costs a test and a store. Waiting for it cannot be interrupted: a holder
// must not wait for anything but memory.
#pragma once

#include "kernel-min/sched/wait.h"

namespace coracle {

class SleepLock {
  public:
    void lock() {
        if (held_) [[unlikely]] {
            (void)wait_until(
                released_, Deadline::never(), [this] { return !held_; }, Interruptible::kNo);
        }
        held_ = true;
    }
    bool is_held() const { return held_; }
    void unlock() {
        held_ = false;
        released_.wake_all();
    }

  private:
    bool held_ = false;
    WaitQueue released_;
};

class SleepLockGuard {
  public:
    explicit SleepLockGuard(SleepLock& lock) : lock_(lock) { lock_.lock(); }
    ~SleepLockGuard() { lock_.unlock(); }
    SleepLockGuard(const SleepLockGuard&) = delete;
    SleepLockGuard& operator=(const SleepLockGuard&) = delete;

  private:
    SleepLock& lock_;
};

}  // namespace coracle
