// rt_sigsuspend, rt_sigtimedwait, pause, restart_syscall: waiting for signals.
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/wait.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// Sleeps until a signal is pending that the mask lets through, or the deadline.
Result<void> wait_for_signal(Deadline deadline) {
    WaitQueue nobody;  // signals wake the thread itself
    return wait_until(nobody, deadline, [] { return signal_is_pending(); });
}

}  // namespace

Result<long> sys_pause() {
    (void)wait_for_signal(Deadline::never());
    return Error(kErestartnohand);
}

Result<long> sys_rt_sigsuspend(UserIn<SignalSet> mask, size_t set_size) {
    if (set_size != sizeof(SignalSet)) return Error(EINVAL);
    TRY(mask.read());
    TRY(set_temporary_signal_mask(mask.address(), set_size));
    (void)wait_for_signal(Deadline::never());
    return Error(kErestartnohand);
}

Result<long> sys_rt_sigtimedwait(UserIn<SignalSet> set, UserOut<SignalInfo> info,
                                 UserIn<timespec> timeout, size_t set_size) {
    if (set_size != sizeof(SignalSet)) return Error(EINVAL);
    const SignalSet awaited = TRY(set.read()) & ~kUnblockableSignals;
    Deadline deadline = Deadline::never();
    if (timeout) {
        const timespec time = TRY(timeout.read());
        if (!is_valid(time)) return Error(EINVAL);
        deadline = Deadline::after(to_ns(time));
    }

    SignalInfo taken;
    if (!take_pending_signal(awaited, taken)) {
        set_awaited_signals(awaited);
        const auto waited = wait_for_signal(deadline);
        const bool is_there = take_pending_signal(awaited, taken);
        set_awaited_signals(0);
        if (!is_there) return Error(waited.error_code() == ETIMEDOUT ? EAGAIN : EINTR);
    }
    if (info) TRY(info.write(taken));
    return taken.signo;
}

Result<long> sys_restart_syscall() {
    RestartBlock& block = current_thread()->state->signals.restart_block;
    if (!block.function) return Error(EINTR);
    return block.function(block);
}

}  // namespace coracle
