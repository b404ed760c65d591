// --trace: system calls, signals and the program's end as lines for the host.
#pragma once

#include "libposix/signals/signal_abi.h"

namespace coracle {

// From now on every call is traced (syscall-table/dispatch.h).
void enable_tracing();

// Each does nothing unless tracing is enabled.

// A signal is about to be delivered or to end the program.
void trace_signal(const SignalInfo& info);
// The program has ended, with a status as wait(2) tells it.
void trace_exit(int wait_status);
// execve has succeeded and will not return to the call that is being traced.
void trace_exec_done();

}  // namespace coracle
