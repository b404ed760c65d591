
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/timer_queue.h"
#include "kernel-min/sched/wait.h"

namespace coracle {

namespace {

void wake_thread(void* thread) { wake(*static_cast<Thread*>(thread)); }

bool is_signal_noted() {
    return current_cpu()->pending.load(std::memory_order_relaxed) & kPendingSignal;
}

}  // namespace

Deadline Deadline::after(uint64_t nanoseconds) {
    uint64_t now = coracle::monotonic_ns();
    return nanoseconds > UINT64_MAX - now ? never() : Deadline{now + nanoseconds};
}

static Result<void> sleep_without_timer(Deadline deadline, Interruptible interruptible) {
    const Thread* thread = current_thread();
    for (;;) {
        handle_pending_interrupts();
        if (interruptible == Interruptible::kYes && is_signal_noted() && signal_is_pending()) {
            // The way out must see the answer, even if the signal is gone by then.
            current_cpu()->pending.fetch_or(kPendingSignal, std::memory_order_relaxed);
            return Error(kErestartsys);
        }
        if (!deadline.is_never() && monotonic_ns() >= deadline.monotonic_ns) {
            return Error(ETIMEDOUT);
        }
        if (thread->woken) return {};
        sleep_until_wake();
    }
}

Result<void> sleep_until_woken(Deadline deadline, Interruptible interruptible) {
    if (deadline.is_never()) return sleep_without_timer(deadline, interruptible);
    Timer timer(wake_thread, current_thread());
    timer.start(deadline.monotonic_ns);
    return sleep_without_timer(deadline, interruptible);
}

}  // namespace coracle
