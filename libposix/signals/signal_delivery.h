// Sending signals, and delivering them on the way out to the application.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/thread.h"
#include "kernel-min/sched/trap_frame.h"
#include "libposix/signals/pending_signals.h"
#include "libposix/signals/signal_abi.h"

namespace coracle {

// What counts for signals to the process.
SignalQuota signal_quota(const Process& process);

// --- Sending. No permission check: that is the system call's matter. Signal numbers are valid.

// Makes a signal pending for the process and wakes a thread that can take it: the first choice
// (by default the oldest thread) or, if that one blocks it, another. EAGAIN: see
// PendingSignals::add. A signal that is ignored and not blocked is dropped.
Result<void> send_signal(Process& process, const SignalInfo& info, Thread* first_choice = nullptr);
Result<void> send_signal_to_thread(Thread& thread, const SignalInfo& info);

// What a timer sends to the process or, if one is given, to a thread. False: it is ignored.
// Precondition: it is not queued.
bool send_timer_signal(Process& process, Thread* thread, TimerSignal& signal);

// From the kernel itself (si_code SI_KERNEL): what the host, the terminal or a timer sends to a
// whole process. Never fails.
void send_kernel_signal(Process& process, int signo, Thread* first_choice = nullptr);
// To a thread for what it did (SIGPIPE, SIGXFSZ): with si_code SI_USER, as if it had sent it to
// itself, as on Linux. Never fails.
void send_kernel_signal_to_thread(Thread& thread, int signo);

// A fault of the current thread's application code: `code` and `address` are siginfo's. Blocked
// or ignored, the signal kills, as on Linux. It is taken by the deliver_signals() that follows.
void force_signal_fault(int signo, int code, uint64_t address);
// The same for a signal that carries no address (SI_KERNEL): SIGSEGV of a bad signal frame.
void force_signal(int signo);

// --- Taking.

// What waits for the thread and its process, blocked or not.
SignalSet pending_signals(const Thread& thread);
// Takes one of `wanted` for the current thread: sigtimedwait(2), signalfd(2), whose readers wait in
// Process::signal_arrivals. False if there is none.
bool take_pending_signal(SignalSet wanted, SignalInfo& info);

// Called with the application's registers, as they are about to be restored, when kPendingSignal
// is set or a call answers one of the kErestart codes. Runs default actions (it may not return),
// builds handler frames on the application's stack and changes `frame` to enter the handler.
// The caller restores all of `frame` afterwards.
//
// `frame.vector` kTrapSyscall: rax is the call's result (-errno), error_code its number,
// the other registers are as they came, and rip lies behind a `syscall` instruction (for a C or
// rewritten call, the one in the process's `syscall; ret`), so that a restart rewinds rip by 2.
// Other vectors are no calls, and nothing restarts.
void deliver_signals(TrapFrame& frame);

// rt_sigreturn(2): `frame` holds the registers at the `syscall` instruction and is replaced as a
// whole. A bad frame on the stack is SIGSEGV. Followed by the ordinary way out.
void return_from_signal(TrapFrame& frame);

// An exception other than a page fault in application code. Followed by deliver_signals().
void handle_exception(TrapFrame& frame);

// --- Waiting with another mask: rt_sigsuspend(2), ppoll(2), pselect6(2), epoll_pwait(2).

// Installs the set at `mask_address` (null: does nothing) until restore_signal_mask(). EINVAL for
// a set size other than 8, EFAULT.
Result<void> set_temporary_signal_mask(uint64_t mask_address, size_t set_size);
// Ends it. `interrupted`: the call is about to answer EINTR or a kErestart code, so the mask stays
// until deliver_signals() has taken the signal.
void restore_signal_mask(bool interrupted);

// The application's stack pointer when it entered the kernel.
uint64_t application_stack_pointer();

// Sets the current thread's mask (never blocking SIGKILL and SIGSTOP).
void set_blocked_signals(SignalSet blocked);
// While the current thread sleeps, these wake it although they are blocked: sigtimedwait(2).
void set_awaited_signals(SignalSet awaited);
// The thread, no longer among its process's, ends: others take what it was to take.
void hand_over_signals(const Thread& ending);

// --- Stopping (SIGSTOP and its kind): the threads stop on their way to the application.

void stop_process(Process& process);
void continue_process(Process& process);

}  // namespace coracle
