
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/seldom.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/timer_queue.h"
#include "kernel-min/sched/wait.h"

namespace coracle {

namespace {

void wake_thread(void* thread) {
    wake(*static_cast<Thread*>(thread));
}

// Interrupts run their handlers; a signal ends the sleep if it may.
SELDOM Result<void> look_at_pending(Interruptible interruptible) {
    handle_pending_interrupts();
    // Others may have run meanwhile, and the lock may be held locally again: the home may be gone.
    resume_lock();
    if (interruptible == Interruptible::kNo || !signal_is_pending()) return {};
    // The way out must see the answer, even if the signal is gone by then.
    current_cpu()->pending.fetch_or(kPendingSignal, std::memory_order_relaxed);
    return Error(kErestartsys);
}

[[gnu::always_inline]] inline Result<void> sleep(Deadline deadline, Interruptible interruptible) {
    for (;;) {
        if (current_cpu()->pending.load(std::memory_order_relaxed)) [[unlikely]] {
            TRY(look_at_pending(interruptible));
        }
        if (!deadline.is_never() && monotonic_ns() >= deadline.monotonic_ns) {
            return Error(ETIMEDOUT);
        }
        if (current_thread()->woken) return {};
        sleep_until_wake();
    }
}

SELDOM Result<void> sleep_with_timer(Deadline deadline, Interruptible interruptible) {
    Timer timer(wake_thread, current_thread(), LockNeeded::kLocally);
    timer.start(deadline.monotonic_ns);
    return sleep(deadline, interruptible);
}

}  // namespace

Deadline Deadline::after(uint64_t nanoseconds) {
    uint64_t now = coracle::monotonic_ns();
    return nanoseconds > UINT64_MAX - now ? never() : Deadline{now + nanoseconds};
}

Result<void> sleep_until_woken(Deadline deadline, Interruptible interruptible) {
    if (!deadline.is_never()) return sleep_with_timer(deadline, interruptible);
    return sleep(Deadline::never(), interruptible);
}

}  // namespace coracle
