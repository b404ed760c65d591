// What the VM says when a program dies of its own fault.
#pragma once

#include "kernel-min/sched/trap_frame.h"
#include "libposix/signals/signal_abi.h"

namespace coracle {

// For the signals that tell of a bug (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS):
// the signal, the registers, a backtrace and the memory map, in lines to the host. Reads the
// application's memory with care, does not recurse and does not wait.
void report_crash(const TrapFrame& frame, const SignalInfo& info);

}  // namespace coracle
