// The monotonic clock, from the TSC. How fast the TSC runs comes from CPUID, from kvmclock, or from
// a reference clock of the machine (HPET, ACPI timer, PIT, LAPIC timer), against which it is
// measured without waiting: a pair of readings is taken at boot and the rate is made exact as
// time passes.
#pragma once

#include <cstdint>

#include "kernel-min/abi/process_page.h"

namespace coracle {

// Finds the clock. Called once, early at boot, when the local APIC and other devices are mapped.
void init_clock_source();

// Nanoseconds since boot; never goes back.
uint64_t monotonic_ns();

inline uint64_t read_tsc() {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return uint64_t{high} << 32 | low;
}

// TSC ticks, of a difference, in nanoseconds.
uint64_t tsc_to_ns(uint64_t ticks);

// The machine's idea of the wall clock in ns since 1970 (kvmclock, or the CMOS clock to the
// second); 0 if it has none.
uint64_t read_machine_wall_clock();

// The values that application code computes the monotonic clock with; multiplier 0 as long as the
// rate is not exact. The realtime offset is left alone.
void fill_monotonic_clock(abi::ClockPage& page);

}  // namespace coracle
