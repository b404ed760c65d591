// The kernel lock: with several CPUs, one at a time runs kernel code. It belongs to a CPU, not to a
// thread: a switch of threads keeps it, and a CPU that idles gives it away. So kernel code is
// atomic from one sleep to the next, on one CPU and on many.
//
// A CPU that waits polls for a moment and then halts, because a hypervisor may have stopped the
// holder. For the same reason the lock is not handed on in order: who comes while the next one is
// still waking takes it first. One that was woken and found it taken gets it next: none starves.
// With one CPU it costs nothing: the entries that take it are not in use (syscall-table/entry.S).
#pragma once

#include "kernel-min/sched/cpu.h"

namespace coracle {

// Takes it; this CPU must not hold it.
extern "C" void lock_kernel();
// Gives it to the next CPU.
extern "C" void unlock_kernel();

// For the length of a way into the kernel, however it came about: nothing where this CPU holds the
// lock already, as when kernel code faults, or where there is no other CPU.
class KernelSection {
  public:
    KernelSection() : taken_(cpu_count > 1 && !current_cpu()->holds_kernel_lock) {
        if (taken_) lock_kernel();
    }
    KernelSection(const KernelSection&) = delete;
    KernelSection& operator=(const KernelSection&) = delete;
    ~KernelSection() {
        if (taken_) unlock_kernel();
    }

  private:
    const bool taken_;
};

}  // namespace coracle
