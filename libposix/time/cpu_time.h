// The CPU time that processes and threads have used.
#pragma once

#include <cstdint>

#include "kernel-min/sched/thread.h"

namespace coracle {

// Nanoseconds. User and system time are not told apart: a call costs too little to look at the
// clock twice for it.
uint64_t thread_cpu_time_ns(const Thread& thread);
uint64_t process_cpu_time_ns(const Process& process);  // threads that have ended included

}  // namespace coracle
