#include "libposix/time/cpu_time.h"

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/process.h"

namespace coracle {

void CpuUsage::add(const Thread& thread) {
    run_ticks += coracle::run_ticks(thread);
    voluntary_switches += thread.voluntary_switches;
    involuntary_switches += thread.involuntary_switches;
}

uint64_t CpuUsage::time_ns() const { return tsc_to_ns(run_ticks); }

CpuUsage cpu_usage(const Thread& thread) {
    CpuUsage usage;
    usage.add(thread);
    return usage;
}

CpuUsage cpu_usage(const Process& process) {
    CpuUsage usage = process.ended_threads;
    for (const Thread& thread : process.threads) usage.add(thread);
    return usage;
}

}  // namespace coracle
