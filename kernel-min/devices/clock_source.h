// The monotonic clock, from the TSC. How fast the TSC runs comes from CPUID or kvmclock, or is
// measured: at first against the local APIC's timer (one tick a nanosecond under QEMU and KVM),
// then over seconds against the PIT. Nothing waits for the measurement: it starts at boot, and
// while it is young each reading of the clock makes it better.
#pragma once

#include <cstdint>

#include "kernel-min/abi/process_page.h"

namespace coracle {

// Finds the clock and starts the measurement. Called once, early at boot.
void init_clock_source();

// Nanoseconds since boot; never goes back.
uint64_t monotonic_ns();

inline uint64_t read_tsc() {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return uint64_t{high} << 32 | low;
}

// A difference of read_tsc() in nanoseconds.
uint64_t tsc_to_ns(uint64_t ticks);

// The one-shot timer: as core::arm_timer(), which nobody else may call, because the timer is also
// the clock's reference.
void arm_clock_timer(uint64_t nanoseconds);

// The machine's own idea of the wall clock (the CMOS clock, to the second) in ns since 1970, UTC;
// 0 if it has none.
uint64_t read_machine_wall_clock();

// Keeps the monotonic half of `page` up to date from now on: multiplier 0 until the rate is
// exact. The page must stay until another one takes its place; null ends it.
void publish_monotonic_clock(abi::ClockPage* page);

}  // namespace coracle
