// Guards what CPUs that hold the kernel lock locally share (sched/kernel_lock.h), for some
// instructions: never across a sleep point. Who holds the kernel lock alone needs none: take it by a
// LocalLockGuard.
#pragma once

#include <atomic>

namespace coracle {

// How a handler needs the kernel lock to be held.
enum class LockNeeded : bool { kAlone, kLocally };

class LocalLock {
  public:
    void lock() {
        while (is_locked_.exchange(true, std::memory_order_acquire)) {
            while (is_locked_.load(std::memory_order_relaxed)) asm volatile("pause");
        }
    }
    void unlock() { is_locked_.store(false, std::memory_order_release); }

  private:
    std::atomic<bool> is_locked_{false};
};

}  // namespace coracle
