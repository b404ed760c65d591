// The wall clock and the process's clocks, above the monotonic clock of kernel-min.
#pragma once

#include <sys/time.h>
#include <time.h>

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
uint64_t wall_clock_steps();  // how often it was set

constexpr uint64_t kNsPerSecond = 1'000'000'000;
constexpr uint64_t kNsPerMicrosecond = 1000;

// Linux's way with time structures: a valid one may be longer than 64 bits of nanoseconds, and
// then becomes the longest time (KTIME_MAX).
constexpr timespec to_timespec(uint64_t ns) {
    return {static_cast<time_t>(ns / kNsPerSecond), static_cast<long>(ns % kNsPerSecond)};
}
constexpr timeval to_timeval(uint64_t ns) {
    return {static_cast<time_t>(ns / kNsPerSecond),
            static_cast<suseconds_t>(ns % kNsPerSecond / kNsPerMicrosecond)};
}
constexpr bool is_valid(const timespec& time) {
    return time.tv_sec >= 0 && static_cast<uint64_t>(time.tv_nsec) < kNsPerSecond;
}
constexpr bool is_valid(const timeval& time) {
    return time.tv_sec >= 0 &&
           static_cast<uint64_t>(time.tv_usec) < kNsPerSecond / kNsPerMicrosecond;
}
// Preconditions: is_valid(time).
constexpr uint64_t to_ns(const timespec& time) {
    constexpr uint64_t kMaxNs = INT64_MAX;
    const auto seconds = static_cast<uint64_t>(time.tv_sec);
    if (seconds >= kMaxNs / kNsPerSecond) return kMaxNs;
    return seconds * kNsPerSecond + static_cast<uint64_t>(time.tv_nsec);
}
constexpr uint64_t to_ns(const timeval& time) {
    const long nanoseconds = time.tv_usec * static_cast<long>(kNsPerMicrosecond);
    return to_ns(timespec{time.tv_sec, nanoseconds});
}

// Fills the page in which the libc image reads the clocks without a call, and keeps it up to date
// when the wall clock is set. One page, shared by all processes; a later call replaces it.
void fill_clock_page(abi::ClockPage& page);

}  // namespace coracle
