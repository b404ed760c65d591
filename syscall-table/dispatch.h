// From an entry to its handler.
#pragma once

#include <cstdint>

#include "kernel-min/sched/thread.h"
#include "kernel-min/sched/trap_frame.h"

namespace coracle {

// The last argument is the number: the thunks of calls without a handler, and tracing, need it.
using SyscallThunk = long (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t number);

// What programs may call instead of trapping (kernel-min/abi/process_page.h).
extern "C" const uint64_t call_entry_table[];
extern "C" char syscall_call[];

// From now on every call is traced.
void enable_tracing();

// The application's registers, if its current call came by a trap; null for a rewritten or C
// call. Calls that replace the registers (rt_sigreturn, execve) need them.
TrapFrame* application_frame();

}  // namespace coracle
