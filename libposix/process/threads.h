// The threads of processes: their numbers, and their end.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "libposix/process/process.h"

namespace coracle {

// Linux's /proc/sys/kernel/threads-max would depend on memory; pid_max is its limit on numbers.
constexpr uint32_t kMaxTid = 4'194'304;

// Whether RLIMIT_NPROC, which does not bind root, allows no more threads.
bool is_at_thread_limit(const Process& process);

// Gives the thread its number and enters it: the first number of a process is its pid.
void add_thread(Process& process, Thread& thread);

// Null if there is no such thread. A process's first thread is found as long as the process.
Thread* find_thread(uint32_t tid);
// The same for a call's argument: 0 is the current thread. ESRCH.
Result<Thread*> find_any_thread(int tid);
Result<Thread*> find_own_thread(int tid);  // one of the current process

// comm: prctl(PR_SET_NAME), /proc/PID/task/TID/comm. The first thread's is the process's.
char (&thread_name(Thread& thread))[16];

// Ends the current thread as exit(2) does; the last one ends the process with its status.
[[noreturn]] void exit_thread(int status);

// Takes the current thread, which is not the first of its process, out of everything.
[[noreturn]] void leave_process();

// set_robust_list(2): marks the mutexes that the current thread held as orphaned.
void release_robust_mutexes();

}  // namespace coracle
