// Threads of a process that run kernel code alone (Linux: PF_IO_WORKER).
//
// Such a thread uses the memory, the files and the credentials of its process, and is shown as one
// of its threads; but it does not keep the process alive. Of signals it takes SIGKILL and SIGSTOP
// only, whenever it says so.
#pragma once

#include "kernel-min/sched/scheduler.h"

namespace coracle {

// A new thread of the current process, scheduled as the current one, on the CPUs of `affinity`;
// `name`: at most 15 characters. `body` ends by exit_kernel_thread(). EAGAIN (RLIMIT_NPROC),
// ENOMEM.
Result<Thread*> start_kernel_thread(std::string_view name, uint64_t affinity, KernelThreadBody body,
                                    void* argument);
[[noreturn]] void exit_kernel_thread();

// For the current one, between its steps: it dies or stops here if the process does.
void take_kernel_thread_signals();

}  // namespace coracle
