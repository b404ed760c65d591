// What a process and each of its threads keep about signals.
//
// Ownership: SignalActions is shared by the threads of a process (and by clone(2) with
// CLONE_SIGHAND); ThreadSignals belongs to its thread.
#pragma once

#include <cstdint>

#include "kernel-min/lib/ref_ptr.h"
#include "libposix/signals/pending_signals.h"
#include "libposix/signals/restart_block.h"
#include "libposix/signals/signal_abi.h"

namespace coracle {

class SignalActions : public RefCounted<SignalActions> {
  public:
    SignalAction& operator[](int signo) { return actions_[signo - 1]; }
    const SignalAction& operator[](int signo) const { return actions_[signo - 1]; }

    // As execve(2) does: handlers go back to the default, ignored signals stay ignored.
    void reset_for_exec();

  private:
    SignalAction actions_[kSignalCount];
};

struct ThreadSignals {
    SignalSet blocked = 0;
    // The mask to put back once a signal was delivered or the call ended: rt_sigsuspend(2),
    // ppoll(2) and the like wait with another one.
    SignalSet saved_blocked = 0;
    bool restore_saved = false;
    // rt_sigtimedwait(2) waits for these although they are blocked.
    SignalSet awaited = 0;

    PendingSignals pending;
    AlternateStack alternate_stack;
    RestartBlock restart_block;

    // The last exception, which the frame of every later signal shows too.
    uint64_t trap_number = 0, trap_error = 0, fault_address = 0;

    // As execve(2) does: the mask and what is pending stay, the alternate stack goes.
    void reset_for_exec() {
        alternate_stack = {};
        restart_block = {};
    }
};

}  // namespace coracle
