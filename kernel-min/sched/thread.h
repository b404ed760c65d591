// A thread of the kernel: a kernel stack, and what the layers above hang on it.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel-min/sched/cpu.h"

namespace coracle {

class Process;       // libposix/process/process.h
struct ThreadState;  // libposix/process/process.h: signals and the rest of POSIX

struct Thread {
    Process* process = nullptr;
    ThreadState* state = nullptr;
    uint32_t tid = 0;
    uint64_t kernel_stack_top = 0;
    std::atomic<bool> woken{false};  // see sched/wait.h
};

// The current thread's process. There is always one once the first program has been set up.
inline Process* current_process() { return current_thread()->process; }

// Defined by libposix/signals: whether an unblocked signal waits for the current thread, so that
// an interruptible sleep must end.
bool signal_is_pending();

}  // namespace coracle
