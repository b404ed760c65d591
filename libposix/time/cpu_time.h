// What processes and threads have used of the CPUs.
#pragma once

#include <cstdint>

#include "kernel-min/sched/thread.h"

namespace coracle {

struct CpuUsage {
    uint64_t run_ticks = 0;  // of the TSC
    uint64_t voluntary_switches = 0, involuntary_switches = 0;

    void add(const Thread& thread);
    // User and system time are not told apart: a call costs too little to look at the clock twice
    // for it.
    uint64_t time_ns() const;
};

CpuUsage cpu_usage(const Thread& thread);
CpuUsage cpu_usage(const Process& process);  // threads that have ended included

inline uint64_t thread_cpu_time_ns(const Thread& thread) { return cpu_usage(thread).time_ns(); }
inline uint64_t process_cpu_time_ns(const Process& process) {
    return cpu_usage(process).time_ns();
}

}  // namespace coracle
