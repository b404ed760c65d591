// Threads of a process that run kernel code alone (Linux: PF_IO_WORKER).
//
// Such a thread uses the memory and the files of its process, and its credentials unless it acts for
// somebody; it is shown as one of the process's threads, but does not keep the process alive. Of
// signals it takes SIGKILL and SIGSTOP only, whenever it says so.
#pragma once

#include <utility>

#include "kernel-min/sched/scheduler.h"
#include "libposix/process/process.h"

namespace coracle {

// A new thread of the current process, scheduled as the current one, on the CPUs of `affinity`;
// `name`: at most 15 characters. `body` ends by exit_kernel_thread(). EAGAIN (RLIMIT_NPROC),
// ENOMEM.
Result<Thread*> start_kernel_thread(std::string_view name, uint64_t affinity, KernelThreadBody body,
                                    void* argument);
[[noreturn]] void exit_kernel_thread();

// For the current one, between its steps: it dies or stops here if the process does.
void take_kernel_thread_signals();

// Gives the current thread these credentials' rights (Linux: override_creds()). They must outlive
// the scope.
class ActingFor {
  public:
    explicit ActingFor(const Credentials& credentials)
        : before_(std::exchange(current_thread()->state->credentials, &credentials)) {}
    ActingFor(const ActingFor&) = delete;
    ~ActingFor() { current_thread()->state->credentials = before_; }

  private:
    const Credentials* const before_;
};

}  // namespace coracle
