// From an entry to its handler.
#pragma once

#include <cstdint>

#include "kernel-min/sched/thread.h"
#include "kernel-min/sched/trap_frame.h"
#include "syscall-table/thunks.h"

namespace coracle {

// What programs may call instead of trapping (kernel-min/abi/process_page.h).
extern "C" const uint64_t call_entry_table[];
extern "C" char syscall_call[];

// The application's registers, if its current call came by a trap; null for a rewritten or C
// call. Calls that replace the registers (rt_sigreturn, execve) need them.
TrapFrame* application_frame();

// The thunks that calls lead to: with or without tracing. Before open_entries().
void use_thunks(const SyscallThunk* thunks);
const SyscallThunk* used_thunks();

// Before the first call: with several CPUs every one takes the kernel lock (sched/kernel_lock.h).
void open_entries(bool with_kernel_lock);

}  // namespace coracle
