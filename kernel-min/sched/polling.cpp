#include "kernel-min/sched/polling.h"

namespace coracle {

void make_room() {
    handle_pending_interrupts();
    // Of a restartable sequence the one who polls has none.
    constexpr uint32_t kHandled = kPendingReschedule | kPendingSequence;
    const uint32_t pending = current_cpu()->pending.fetch_and(~kHandled, std::memory_order_relaxed);
    if (pending & kPendingReschedule) reschedule();
    yield();
}

}  // namespace coracle
