#include "kernel-min/sched/kernel_lock.h"
#include "libposix/process/process.h"
#include "libposix/signals/default_action.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

// What the thread would take now.
SignalSet welcome_signals(const Thread& thread) {
    const ThreadState& state = *thread.state;
    return state.has_ended ? 0 : ~state.signals.blocked | state.signals.awaited;
}

// Linux's complete_signal(): the first choice, or any other thread that does not block it, rather
// one that has nothing to take yet. Null: nobody, so that it waits for the first who unblocks it.
Thread* choose_thread(Process& process, Thread& first_choice, SignalSet signal) {
    const auto wants = [signal](const Thread& thread) {
        return (welcome_signals(thread) & signal) != 0;
    };
    if (wants(first_choice)) return &first_choice;
    Thread* busy = nullptr;
    for (Thread& thread : process.threads) {
        if (!wants(thread)) continue;
        if (!thread.signal_noted) return &thread;
        busy = &thread;
    }
    return busy;
}

// A stop and a continue cancel each other while they wait; a continue ends a stop at once.
void cancel_opposites(Process& process, int signo) {
    SignalSet opposites;
    if (signo == kSigCont) {
        opposites = kStopSignals;
    } else if (signal_bit(signo) & kStopSignals) {
        opposites = signal_bit(kSigCont);
    } else {
        return;
    }
    process.pending_signals.remove(opposites);
    for (Thread& thread : process.threads) thread.state->signals.pending.remove(opposites);
    if (signo == kSigCont) continue_process(process);
}

// Whether the signal is to be queued; else it is ignored and leaves no trace.
bool prepare(const Thread& thread, int signo) {
    cancel_opposites(*thread.process, signo);
    const bool is_blocked = thread.state->signals.blocked & signal_bit(signo);
    return is_blocked || !is_ignored(signo, (*thread.process->signal_actions)[signo].handler);
}

void announce_to_process(Process& process, Thread& first_choice, int signo) {
    process.signal_arrivals.wake_all();
    if (Thread* thread = choose_thread(process, first_choice, signal_bit(signo)))
        note_signal(*thread);
}

void announce_to_thread(Thread& thread, int signo) {
    thread.process->signal_arrivals.wake_all();
    if (welcome_signals(thread) & signal_bit(signo)) note_signal(thread);
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
    signals.pending.add(info, signal_quota(*thread.process));
    note_signal(thread);
}

// Tells others of the process's signals among `signals` that `thread` will not take after all.
void retarget(const Thread& thread, SignalSet signals) {
    Process& process = *thread.process;
    signals &= process.pending_signals.set();
    for (Thread& other : process.threads) {
        if (!signals) return;
        const SignalSet taken = signals & welcome_signals(other);
        if (&other == &thread || !taken) continue;
        signals &= ~taken;
        note_signal(other);
    }
}

}  // namespace

SignalQuota signal_quota(const Process& process) {
    return {process.credentials.uid, process.limits.soft(Resource::kPendingSignals)};
}

Result<void> send_signal(Process& process, const SignalInfo& info, Thread* first_choice) {
    if (process.threads.empty()) return {};  // it has ended
    Thread& first = first_choice ? *first_choice : process.threads.front();
    if (!prepare(first, info.signo)) return {};
    if (process.pending_signals.add(info, signal_quota(process)) ==
        PendingSignals::AddOutcome::kQueueFull) {
        return Error(EAGAIN);
    }
    announce_to_process(process, first, info.signo);
    return {};
}

Result<void> send_signal_to_thread(Thread& thread, const SignalInfo& info) {
    if (!prepare(thread, info.signo)) return {};
    if (thread.state->signals.pending.add(info, signal_quota(*thread.process)) ==
        PendingSignals::AddOutcome::kQueueFull) {
        return Error(EAGAIN);
    }
    announce_to_thread(thread, info.signo);
    return {};
}

bool send_timer_signal(Process& process, Thread* thread, TimerSignal& signal) {
    if (process.threads.empty()) return false;
    Thread& first = thread ? *thread : process.threads.front();
    const int signo = signal.info().signo;
    if (!prepare(first, signo)) return false;
    if (thread) {
        thread->state->signals.pending.add(signal);
        announce_to_thread(*thread, signo);
    } else {
        process.pending_signals.add(signal);
        announce_to_process(process, first, signo);
    }
    return true;
}

void send_kernel_signal(Process& process, int signo, Thread* first_choice) {
    (void)send_signal(process, kernel_signal(signo), first_choice);
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

SignalSet pending_signals(const Thread& thread) {
    return thread.state->signals.pending.set() | thread.process->pending_signals.set();
}

bool take_pending_signal(SignalSet wanted, SignalInfo& info) {
    Thread& thread = *current_thread();
    return thread.state->signals.pending.take(wanted, info) ||
           thread.process->pending_signals.take(wanted, info);
}

// What was not sent to this thread in particular, or for it to take, is left to the one that it
// was: only a notice counts.
bool signal_is_pending() {
    if (!(current_cpu()->pending.load(std::memory_order_relaxed) & kPendingSignal)) return false;
    const Thread& thread = *current_thread();
    return (pending_signals(thread) & welcome_signals(thread)) != 0 ||
           thread.process->is_stopped;
}

void set_blocked_signals(SignalSet blocked) {
    Thread& thread = *current_thread();
    ThreadSignals& signals = thread.state->signals;
    blocked &= ~kUnblockableSignals;
    const SignalSet newly_blocked = blocked & ~signals.blocked;
    signals.blocked = blocked;
    if (pending_signals(thread) & ~blocked) note_signal(thread);
    if (!(newly_blocked & thread.process->pending_signals.set())) return;
    become_alone();  // others' threads
    retarget(thread, newly_blocked);
}

void set_awaited_signals(SignalSet awaited) {
    Thread& thread = *current_thread();
    ThreadSignals& signals = thread.state->signals;
    const SignalSet no_longer = signals.awaited & ~awaited & signals.blocked;
    signals.awaited = awaited;
    retarget(thread, no_longer);
}

void hand_over_signals(const Thread& ending) {
    retarget(ending, ~ending.state->signals.blocked);
}

void stop_process(Process& process) {
    process.is_stopped = true;
    for (Thread& thread : process.threads) note_signal(thread);
}

void continue_process(Process& process) {
    if (!process.is_stopped) return;
    process.is_stopped = false;
    for (Thread& thread : process.threads) wake(thread);
}

}  // namespace coracle
