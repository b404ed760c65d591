// The kernel lock. It belongs to a CPU, not to a thread: a switch of threads keeps it, and a CPU
// that idles gives it away. With one CPU nothing takes it: the entries that do are not in use
// (syscall-table/entry.S).
//
// It is held in one of two ways. One CPU may hold it *alone*: nobody else is in the kernel then, and
// kernel code is atomic from one sleep to the next. Or several may hold it *locally*, each for code
// that changes nothing but what belongs to its CPU: threads and timers of the CPU, and files whose
// home it is (below). They read what is shared, which nobody changes meanwhile. What they cannot
// help sharing is atomic, or guarded by a LocalLock.
//
// Code that needs more than it holds calls become_alone(), which is a sleep point: others run in
// between, and everything that was read must be read again. To hold the lock alone is always enough.
//
// A CPU that waits polls for a moment and then halts, because a hypervisor may have stopped the
// holder. For the same reason the lock is not handed on in order: who comes while the next one is
// still waking takes it first. One that was woken and found it taken gets it next: none starves.
// Who wants it locally while others want it alone waits in the same way.
#pragma once

#include "kernel-min/sched/cpu.h"
#include "kernel-min/sched/local_lock.h"
#include "kernel-min/sched/thread.h"

namespace coracle {

// Takes it alone; this CPU must not hold it.
extern "C" void lock_kernel();
// Takes it locally.
void lock_kernel_locally();
// Gives it away, however it is held.
extern "C" void unlock_kernel();

inline bool holds_lock_locally() {
#ifdef CORACLE_HOST_TEST
    return false;
#else
    bool is_local;
    asm volatile("cmpb %2, %%gs:%c1"
                 : "=@cce"(is_local)
                 : "i"(offsetof(Cpu, lock_hold)), "i"(LockHold::kLocal));
    return is_local;
#endif
}

// Makes what is held locally be held alone, for the rest of the current thread's way through the
// kernel. A sleep point, if it was not.
void become_alone_now();
inline void become_alone() {
    if (holds_lock_locally()) [[unlikely]]
        become_alone_now();
}

// The current thread goes on, after others ran in its place: under the lock as it needs it.
void hold_as_needed();
inline void resume_lock() {
    if (holds_lock_locally()) [[unlikely]]
        hold_as_needed();
}

// The CPU holds the lock alone for what it does next, which is not the current thread's. A sleep
// point, if it held it locally.
#ifdef CORACLE_HOST_TEST
inline void hold_alone() {}
#else
void hold_alone();
#endif
// The other way round, where that is enough from now on: the CPU holds it locally. No sleep point.
void hold_locally();

// For the length of a way into the kernel, however it came about: the lock held alone, or at first
// locally where that is enough. It is not taken where this CPU holds it already, as when kernel code
// faults (what was held locally then stays held alone, if that is needed), or where there is no other
// CPU.
class KernelSection {
  public:
    explicit KernelSection(LockNeeded needs = LockNeeded::kAlone)
        : taken_(cpu_count > 1 && enter(needs)) {}
    KernelSection(const KernelSection&) = delete;
    KernelSection& operator=(const KernelSection&) = delete;
    ~KernelSection() {
        if (taken_) unlock_kernel();
    }

  private:
    static bool enter(LockNeeded needs);
    const bool taken_;
};

// Holds one where that is needed.
class LocalLockGuard {
  public:
    explicit LocalLockGuard(LocalLock& lock) : lock_(holds_lock_locally() ? &lock : nullptr) {
        if (lock_) [[unlikely]]
            lock_->lock();
    }
    LocalLockGuard(const LocalLockGuard&) = delete;
    LocalLockGuard& operator=(const LocalLockGuard&) = delete;
    ~LocalLockGuard() {
        if (lock_) [[unlikely]]
            lock_->unlock();
    }

  private:
    LocalLock* const lock_;
};

}  // namespace coracle
