#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

Result<void> set_temporary_signal_mask(uint64_t mask_address, size_t set_size) {
    if (mask_address == 0) return {};
    if (set_size != sizeof(SignalSet)) return Error(EINVAL);
    const SignalSet mask = TRY(UserIn<SignalSet>(mask_address).read());
    ThreadSignals& signals = current_thread()->state->signals;
    signals.saved_blocked = signals.blocked;
    signals.restore_saved = true;
    set_blocked_signals(mask);
    return {};
}

void restore_signal_mask(bool interrupted) {
    ThreadSignals& signals = current_thread()->state->signals;
    if (interrupted || !signals.restore_saved) return;
    signals.restore_saved = false;
    set_blocked_signals(signals.saved_blocked);
}

uint64_t application_stack_pointer() {
    // From the top of the kernel stack down: a call leaves rsp (syscall-table/entry.S); a trap
    // leaves 0, ss, rsp (kernel-min/core/traps.S).
    const auto* top = reinterpret_cast<const uint64_t*>(current_thread()->kernel_stack_top);
    return top[-1] != 0 ? top[-1] : top[-3];
}

}  // namespace coracle
