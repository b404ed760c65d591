// execve(2): replaces what a process runs.
#pragma once

#include <span>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/trap_frame.h"
#include "libposix/process/process.h"

namespace coracle {

enum class LibcChoice : bool { kBuiltin, kOwn };

struct ExecRequest {
    const char* path;       // of the program, in the process's root
    const char* file_name;  // as the caller spelled it: AT_EXECFN
    std::span<const char* const> arguments, environment;
    LibcChoice libc = LibcChoice::kBuiltin;
};

// Loads the program into a new address space, which becomes the process's and the CPU's, and
// leaves in `frame` the registers with which it starts. The process's descriptors, signals and
// credentials are the caller's matter. On an error the process is as it was. Errors: execve(2)'s.
Result<void> execute(Process& process, const ExecRequest& request, TrapFrame& frame);

}  // namespace coracle
