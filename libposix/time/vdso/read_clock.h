// Reading the clocks of the process page without a call: for the vDSO and the libc image.
#pragma once

#include <time.h>
#include <x86intrin.h>

#include "kernel-min/abi/process_page.h"

namespace coracle {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;

// Clocks that are the monotonic one, or that plus the offset of the wall clock.
constexpr uint32_t kRealtimeClocks = 1U << CLOCK_REALTIME | 1U << CLOCK_REALTIME_COARSE;
constexpr uint32_t kMonotonicClocks = 1U << CLOCK_MONOTONIC | 1U << CLOCK_MONOTONIC_RAW |
                                      1U << CLOCK_MONOTONIC_COARSE | 1U << CLOCK_BOOTTIME;

inline bool is_one_of(uint32_t clocks, clockid_t clock) {
    return (clocks >> (clock & 31) & 1) != 0;
}

// Precondition: the page's multiplier was not 0 once (it stays so).
template <bool realtime>
inline uint64_t read_clock(const abi::ClockPage& clock) {
    for (;;) {
        // An odd value will differ from what is read below.
        const uint32_t sequence = __atomic_load_n(&clock.sequence, __ATOMIC_ACQUIRE) & ~1U;
        // The fence keeps the counter from being read before the sequence.
        _mm_lfence();
        uint64_t ns = __rdtsc() - clock.base_tsc;
        asm("mulq %[multiplier]\n\tshrd %%cl, %%rdx, %%rax"
            : "+a"(ns)
            : [multiplier] "m"(clock.multiplier), "c"(clock.shift)
            : "rdx", "cc");
        ns += clock.monotonic_base_ns;
        if constexpr (realtime) ns += clock.realtime_offset_ns;
        // All has been read, and is one number, before the sequence is read again.
        asm volatile("" : "+r"(ns) : : "memory");
        if (sequence == clock.sequence) [[likely]]
            return ns;
    }
}

}  // namespace coracle
