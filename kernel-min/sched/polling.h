// Kernel code that polls: it looks for work that nobody announces, such as in memory that the
// application writes at any time.
#pragma once

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/timer_queue.h"
#include "kernel-min/sched/wait.h"

namespace coracle {

// Handles what is pending but signals, and lets others run.
void make_room();

// Lets others run, at least once, until `has_work()`, the deadline, or a notice of signals. With
// one CPU it halts where nobody is ready: nothing changes but by an interrupt. With several the
// application may run elsewhere, so the CPU looks all the time, without the kernel lock:
// `has_work` may use nothing but atomic words that the caller keeps.
template <typename HasWork>
void poll_until(Deadline deadline, HasWork has_work) {
    constexpr unsigned kLooks = 1000;  // until it sees to the time and to other threads
    Timer timer([](void*) {}, nullptr, LockNeeded::kLocally);
    if (cpu_count == 1) timer.start(deadline.monotonic_ns);
    do {
        make_room();
        if (cpu_count == 1) {
            if (!has_work()) halt_unless_ready();
            continue;
        }
        unlock_kernel();
        const std::atomic<uint32_t>& pending = current_cpu()->pending;
        for (unsigned i = 0; i < kLooks; i++) {
            if (has_work() || pending.load(std::memory_order_relaxed)) break;
            asm volatile("pause");
        }
        lock_kernel();
    } while (!has_work() && !(current_cpu()->pending.load() & kPendingSignal) &&
             monotonic_ns() < deadline.monotonic_ns);
}

}  // namespace coracle
