#include "kernel-min/lib/panic.h"
#include "libposix/process/process.h"
#include "libposix/signals/default_action.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

SignalSet pending_signals(const Thread& thread) {
    return thread.state->signals.pending.set() | thread.process->pending_signals.set();
}

// Tells the thread that it may have something to take.
void notify(Thread& thread) {
    const ThreadSignals& signals = thread.state->signals;
    if (!(pending_signals(thread) & (~signals.blocked | signals.awaited))) return;
    if (&thread == current_thread()) {
        current_cpu()->pending |= kPendingSignal;
    } else {
        thread.signal_noted = true;
    }
    wake(thread);
}

// A stop and a continue cancel each other while they wait; a continue ends a stop at once.
void cancel_opposites(Thread& thread, int signo) {
    SignalSet opposites = 0;
    if (signo == kSigCont) opposites = kStopSignals;
    if (default_action(signo) == DefaultAction::kStop) opposites = signal_bit(kSigCont);
    if (!opposites) return;
    thread.process->pending_signals.remove(opposites);
    thread.state->signals.pending.remove(opposites);
    if (signo == kSigCont && thread.state->signals.is_stopped) {
        thread.state->signals.is_stopped = false;
        wake(thread);
    }
}

// Whether a signal that is sent now leaves no trace.
bool is_dropped(const Thread& thread, int signo) {
    const bool is_blocked = thread.state->signals.blocked & signal_bit(signo);
    return !is_blocked && is_ignored(signo, (*thread.process->signal_actions)[signo].handler);
}

// Who takes a signal of the whole process: the current thread, or else the oldest, of those that
// do not block it.
Thread& choose_thread(Process& process, int signo) {
    const SignalSet bit = signal_bit(signo);
    const auto wants = [bit](const Thread& thread) {
        const ThreadSignals& signals = thread.state->signals;
        return (bit & (~signals.blocked | signals.awaited)) != 0;
    };
    Thread& current = *current_thread();
    if (current.process == &process && wants(current)) return current;
    for (Thread& thread : process.threads) {
        if (wants(thread)) return thread;
    }
    return process.threads.front();
}

Result<void> send(Thread& thread, PendingSignals& pending, const SignalInfo& info) {
    cancel_opposites(thread, info.signo);
    const Process& process = *thread.process;
    if (is_dropped(thread, info.signo)) return {};
    const uint64_t limit = process.limits.soft(Resource::kPendingSignals);
    if (pending.add(info, limit) == PendingSignals::AddOutcome::kQueueFull) return Error(EAGAIN);
    notify(thread);
    return {};
}

SignalInfo kernel_signal(int signo) {
    SignalInfo info;
    info.signo = signo;
    info.code = kSiKernel;
    return info;
}

// A fault cannot be put off: where no handler can run, the default action must.
void force(const SignalInfo& info) {
    Thread& thread = *current_thread();
    ThreadSignals& signals = thread.state->signals;
    SignalAction& action = (*thread.process->signal_actions)[info.signo];
    const SignalSet bit = signal_bit(info.signo);
    if ((signals.blocked & bit) || action.handler == kSigIgn) {
        action.handler = kSigDfl;
        signals.blocked &= ~bit;
    }
    signals.pending.remove(bit);
    signals.pending.add(info, kUnlimited);
    notify(thread);
}

}  // namespace

Result<void> send_signal(Process& process, const SignalInfo& info) {
    return send(choose_thread(process, info.signo), process.pending_signals, info);
}

Result<void> send_signal_to_thread(Thread& thread, const SignalInfo& info) {
    return send(thread, thread.state->signals.pending, info);
}

bool send_timer_signal(Process& process, uint32_t tid, TimerSignal& signal) {
    Thread* thread = tid ? find_thread(process, tid) : current_thread();
    const int signo = signal.info().signo;
    if (!thread || is_dropped(*thread, signo)) return false;
    cancel_opposites(*thread, signo);
    (tid ? thread->state->signals.pending : process.pending_signals).add(signal);
    notify(*thread);
    return true;
}

void send_kernel_signal(Process& process, int signo) {
    (void)send_signal(process, kernel_signal(signo));
}

void send_kernel_signal_to_thread(Thread& thread, int signo) {
    SignalInfo info;
    info.signo = signo;
    info.code = kSiUser;
    info.kill.pid = static_cast<int32_t>(thread.process->pid);
    info.kill.uid = thread.process->credentials.uid;
    (void)send_signal_to_thread(thread, info);
}

void force_signal_fault(int signo, int code, uint64_t address) {
    SignalInfo info;
    info.signo = signo;
    info.code = code;
    info.fault.address = address;
    force(info);
}

void force_signal(int signo) { force(kernel_signal(signo)); }

bool signal_is_pending() {
    const Thread& thread = *current_thread();
    const ThreadSignals& signals = thread.state->signals;
    return pending_signals(thread) & (~signals.blocked | signals.awaited);
}

void set_blocked_signals(SignalSet blocked) {
    Thread& thread = *current_thread();
    thread.state->signals.blocked = blocked & ~kUnblockableSignals;
    notify(thread);
}

}  // namespace coracle
