#include "libposix/time/cpu_time.h"

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/idle.h"
#include "libposix/process/process.h"

namespace coracle {

uint64_t thread_cpu_time_ns(const Thread& thread) { return process_cpu_time_ns(*thread.process); }

// All the time that the CPU did not idle: there is one thread.
uint64_t process_cpu_time_ns(const Process& process) {
    const uint64_t alive = monotonic_ns() - process.start_time_ns;
    const uint64_t idle = tsc_to_ns(idle_tsc_ticks());
    return alive > idle ? alive - idle : 0;
}

}  // namespace coracle
