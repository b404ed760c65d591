// clock_gettime(2), gettimeofday(2) and time(2), computed from the process page's clock. Under
// another kernel, or without a usable TSC, they are glibc's.
#include <sys/time.h>
#include <time.h>
#include <x86intrin.h>

#include "libposix/libc/calls/process_page.h"

using coracle::abi::ClockPage;
using coracle::libc::coracle_process_page;

extern "C" {
int glibc_clock_gettime(clockid_t clock, timespec* time);
int glibc_gettimeofday(timeval* time, void* zone);
time_t glibc_time(time_t* result);
}

namespace {

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;

// Clocks that are the monotonic one, or that plus the offset of the wall clock.
constexpr uint32_t kRealtimeClocks = 1U << CLOCK_REALTIME | 1U << CLOCK_REALTIME_COARSE;
constexpr uint32_t kMonotonicClocks = 1U << CLOCK_MONOTONIC | 1U << CLOCK_MONOTONIC_RAW |
                                      1U << CLOCK_MONOTONIC_COARSE | 1U << CLOCK_BOOTTIME;

bool is_one_of(uint32_t clocks, clockid_t clock) {
    return (clocks >> (clock & 31) & 1) != 0;
}

template <bool realtime>
inline uint64_t read_clock() {
    const ClockPage& clock = coracle_process_page->clock;
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

int store(uint64_t ns, timespec* time) {
    time->tv_sec = static_cast<time_t>(ns / kNanosecondsPerSecond);
    time->tv_nsec = static_cast<long>(ns % kNanosecondsPerSecond);
    return 0;
}

__attribute__((noinline)) int other_clock_gettime(clockid_t clock, timespec* time) {
    if (static_cast<uint32_t>(clock) > CLOCK_BOOTTIME) return glibc_clock_gettime(clock, time);
    if (is_one_of(kMonotonicClocks, clock)) return store(read_clock<false>(), time);
    if (is_one_of(kRealtimeClocks, clock)) return store(read_clock<true>(), time);
    return glibc_clock_gettime(clock, time);
}

// The usual clocks are asked for first: most programs know no others.
int page_clock_gettime(clockid_t clock, timespec* time) {
    if (clock == CLOCK_MONOTONIC) [[likely]]
        return store(read_clock<false>(), time);
    if (clock == CLOCK_REALTIME) [[likely]]
        return store(read_clock<true>(), time);
    return other_clock_gettime(clock, time);
}

int page_gettimeofday(timeval* time, void* zone) {
    if (zone != nullptr) *static_cast<struct timezone*>(zone) = {0, 0};
    if (time == nullptr) return 0;
    const uint64_t ns = read_clock<true>();
    time->tv_sec = static_cast<time_t>(ns / kNanosecondsPerSecond);
    time->tv_usec = static_cast<suseconds_t>(ns % kNanosecondsPerSecond / 1000);
    return 0;
}

time_t page_time(time_t* result) {
    const auto seconds = static_cast<time_t>(read_clock<true>() / kNanosecondsPerSecond);
    if (result != nullptr) *result = seconds;
    return seconds;
}

bool has_clock() {
    return coracle_process_page != nullptr && coracle_process_page->clock.multiplier != 0;
}

}  // namespace

extern "C" {

int (*resolve_clock_gettime())(clockid_t, timespec*) {
    return has_clock() ? page_clock_gettime : glibc_clock_gettime;
}
int (*resolve_gettimeofday())(timeval*, void*) {
    return has_clock() ? page_gettimeofday : glibc_gettimeofday;
}
time_t (*resolve_time())(time_t*) {
    return has_clock() ? page_time : glibc_time;
}

#define RESOLVED(resolver) __attribute__((visibility("default"), ifunc(#resolver)))
int clock_gettime(clockid_t, timespec*) noexcept RESOLVED(resolve_clock_gettime);
int __clock_gettime(clockid_t, timespec*) RESOLVED(resolve_clock_gettime);
int gettimeofday(timeval*, void*) noexcept RESOLVED(resolve_gettimeofday);
int __gettimeofday(timeval*, void*) RESOLVED(resolve_gettimeofday);
time_t time(time_t*) noexcept RESOLVED(resolve_time);

}  // extern "C"
