// The wall clock and the process's clocks, above the monotonic clock of kernel-min.
#pragma once

#include <cstdint>

#include "kernel-min/abi/process_page.h"
#include "kernel-min/devices/clock_source.h"  // monotonic_ns()
#include "kernel-min/sched/timer_queue.h"     // Timer
#include "kernel-min/sched/wait.h"

namespace coracle {

// Nanoseconds since 1970, UTC.
uint64_t realtime_ns();
// Sets the wall clock, and wakes those who sleep until a wall-clock time.
void set_realtime(uint64_t ns);
WaitQueue& wall_clock_changes();

// struct timespec, as system calls read and write it.
struct TimeSpec {
    int64_t seconds;
    int64_t nanoseconds;
};
constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr TimeSpec to_timespec(uint64_t ns) {
    return {static_cast<int64_t>(ns / kNsPerSecond), static_cast<int64_t>(ns % kNsPerSecond)};
}

// Fills the page in which the libc image reads the clocks without a call, and keeps it up to date
// when the wall clock is set. One page, shared by all processes; a later call replaces it.
void fill_clock_page(abi::ClockPage& page);

}  // namespace coracle
