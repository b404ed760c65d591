#include "libposix/process/process.h"
#include "libposix/process/restartable_sequence.h"
#include "libposix/signals/crash_report.h"
#include "libposix/signals/default_action.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/signals/signal_frame.h"
#include "syscall-table/trace/kernel_trace.h"

namespace coracle {
namespace {

constexpr uint64_t kRestartSyscallNumber = 219;
constexpr uint64_t kSyscallInstructionSize = 2;
constexpr uint64_t kLowestNonCanonical = uint64_t{1} << 47;

bool is_call(const TrapFrame& frame) {
    return frame.vector == kTrapSyscall;
}

void answer(TrapFrame& frame, int error) {
    frame.rax = static_cast<uint64_t>(-static_cast<int64_t>(error));
}

// Makes the application enter the call again, or another call in its place.
void restart_call(TrapFrame& frame, uint64_t number) {
    frame.rip -= kSyscallInstructionSize;
    frame.rax = number;
}

// man 7 signal, "Interruption of system calls and library functions by signal handlers".
void finish_call_before_handler(TrapFrame& frame, const SignalAction& action) {
    if (!is_call(frame)) return;
    switch (-static_cast<int64_t>(frame.rax)) {
        case kErestartnohand:
        case kErestartRestartblock:
            return answer(frame, EINTR);
        case kErestartsys:
            if (!(action.flags & kSaRestart)) return answer(frame, EINTR);
            return restart_call(frame, frame.error_code);
        case kErestartnointr:
            return restart_call(frame, frame.error_code);
    }
}

void finish_call_without_handler(TrapFrame& frame) {
    if (!is_call(frame)) return;
    switch (-static_cast<int64_t>(frame.rax)) {
        case kErestartnohand:
        case kErestartsys:
        case kErestartnointr:
            restart_call(frame, frame.error_code);
            break;
        case kErestartRestartblock:
            restart_call(frame, kRestartSyscallNumber);
            break;
    }
    frame.vector = kTrapInterrupt;  // done once
}

// Sleeps while the process is stopped. SIGKILL ends that for all of its threads.
void stay_stopped() {
    const Thread& thread = *current_thread();
    Process& process = *thread.process;
    if (!process.is_stopped) return;
    WaitQueue nobody;  // who continues the process wakes its threads
    (void)wait_until(
        nobody, Deadline::never(),
        [&] {
            if (pending_signals(thread) & signal_bit(kSigKill)) continue_process(process);
            return !process.is_stopped;
        },
        Interruptible::kNo);
}

// A terminal's stop signals do nothing to a process group without a parent in its session, as ours
// is (POSIX: orphaned).
void stop(int signo) {
    if (signo != kSigStop) return;
    stop_process(*current_process());
    stay_stopped();
}

// No core file is ever written, so the status never has the core flag, as on a Linux whose
// RLIMIT_CORE is 0.
[[noreturn]] void die(const TrapFrame& frame, const SignalInfo& info) {
    report_crash(frame, info);
    exit_process(static_cast<uint32_t>(info.signo));
}

// Takes signals until one has a handler to run; false when there is none left.
bool take_signal_with_handler(const TrapFrame& frame, SignalInfo& info, SignalAction& action) {
    while (take_pending_signal(~current_thread()->state->signals.blocked, info)) {
        trace_signal(info);
        SignalAction& current = (*current_process()->signal_actions)[info.signo];
        action = current;
        if (action.handler == kSigIgn) continue;
        if (action.handler != kSigDfl) {
            if (action.flags & kSaResethand) current.handler = kSigDfl;
            return true;
        }
        switch (default_action(info.signo)) {
            case DefaultAction::kIgnore:
            case DefaultAction::kContinue:
                continue;
            case DefaultAction::kStop:
                stop(info.signo);
                continue;
            case DefaultAction::kTerminate:
            case DefaultAction::kCoreDump:
                die(frame, info);
        }
    }
    return false;
}

// What the CPU would do on Linux at an address outside of the application's half. Here the upper
// half is the kernel's and of the same privilege, so the fault is made by hand.
void check_instruction_pointer(const TrapFrame& frame) {
    if (frame.rip < kUserEnd) return;
    const bool is_canonical =
        frame.rip < kLowestNonCanonical || frame.rip >= ~(kLowestNonCanonical - 1);
    if (is_canonical) return force_signal_fault(kSigSegv, kSegvMaperr, frame.rip);
    force_signal(kSigSegv);
}

void enter_handler(TrapFrame& frame, const SignalInfo& info, const SignalAction& action) {
    ThreadSignals& signals = current_thread()->state->signals;
    finish_call_before_handler(frame, action);
    frame.vector = kTrapInterrupt;  // whatever it was, the call is over
    signals.restart_block = {};

    const SignalSet blocked = signals.restore_saved ? signals.saved_blocked : signals.blocked;
    if (!abort_restartable_sequence(frame) || !enter_signal_handler(frame, info, action, blocked)) {
        // Not even SIGSEGV's own handler finds a stack: then nothing can.
        if (info.signo == kSigSegv) (*current_process()->signal_actions)[kSigSegv] = {};
        return force_signal(kSigSegv);
    }
    signals.restore_saved = false;
    SignalSet added = action.mask;
    if (!(action.flags & kSaNodefer)) added |= signal_bit(info.signo);
    set_blocked_signals(signals.blocked | added);
    check_instruction_pointer(frame);
}

void note_exception(const TrapFrame& frame, ThreadSignals& signals) {
    constexpr uint64_t kExceptions = 32;
    if (frame.vector >= kExceptions) return;
    signals.trap_number = frame.vector;
    signals.trap_error = frame.error_code;
    if (frame.vector == static_cast<uint64_t>(Exception::kPageFault)) {
        signals.fault_address = frame.cr2;
    }
}

}  // namespace

void deliver_signals(TrapFrame& frame) {
    // What is sent from here on sets the bit again.
    current_cpu()->pending &= ~kPendingSignal;
    ThreadSignals& signals = current_thread()->state->signals;
    note_exception(frame, signals);
    check_instruction_pointer(frame);

    do {
        stay_stopped();
        SignalInfo info;
        SignalAction action;
        while (take_signal_with_handler(frame, info, action)) enter_handler(frame, info, action);
        finish_call_without_handler(frame);
        if (!signals.restore_saved) return;
        signals.restore_saved = false;
        set_blocked_signals(signals.saved_blocked);
    } while (signal_is_pending());
}

void return_from_signal(TrapFrame& frame) {
    SignalSet blocked = current_thread()->state->signals.blocked;
    const bool is_good = leave_signal_handler(frame, &blocked);
    set_blocked_signals(blocked);
    frame.vector = kTrapInterrupt;  // its rax is a register's value, not a call's result
    check_instruction_pointer(frame);
    if (!is_good) force_signal(kSigSegv);
}

}  // namespace coracle
