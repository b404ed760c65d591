// clock_gettime(2), gettimeofday(2) and time(2), computed from the process page's clock. Under
// another kernel, or without a usable TSC, they are glibc's.
#include <sys/time.h>
#include <time.h>

#include "libposix/libc/calls/process_page.h"
#include "libposix/time/vdso/read_clock.h"

using coracle::is_one_of;
using coracle::kMonotonicClocks;
using coracle::kNanosecondsPerSecond;
using coracle::kRealtimeClocks;
using coracle::libc::coracle_process_page;

extern "C" {
int glibc_clock_gettime(clockid_t clock, timespec* time);
int glibc_gettimeofday(timeval* time, void* zone);
time_t glibc_time(time_t* result);
}

namespace {

template <bool realtime>
uint64_t read_page() {
    return coracle::read_clock<realtime>(coracle_process_page->clock);
}

int store(uint64_t ns, timespec* time) {
    time->tv_sec = static_cast<time_t>(ns / kNanosecondsPerSecond);
    time->tv_nsec = static_cast<long>(ns % kNanosecondsPerSecond);
    return 0;
}

__attribute__((noinline)) int other_clock_gettime(clockid_t clock, timespec* time) {
    if (static_cast<uint32_t>(clock) > CLOCK_BOOTTIME) return glibc_clock_gettime(clock, time);
    if (is_one_of(kMonotonicClocks, clock)) return store(read_page<false>(), time);
    if (is_one_of(kRealtimeClocks, clock)) return store(read_page<true>(), time);
    return glibc_clock_gettime(clock, time);
}

// The usual clocks are asked for first: most programs know no others.
int page_clock_gettime(clockid_t clock, timespec* time) {
    if (clock == CLOCK_MONOTONIC) [[likely]]
        return store(read_page<false>(), time);
    if (clock == CLOCK_REALTIME) [[likely]]
        return store(read_page<true>(), time);
    return other_clock_gettime(clock, time);
}

int page_gettimeofday(timeval* time, void* zone) {
    if (zone != nullptr) *static_cast<struct timezone*>(zone) = {0, 0};
    if (time == nullptr) return 0;
    const uint64_t ns = read_page<true>();
    time->tv_sec = static_cast<time_t>(ns / kNanosecondsPerSecond);
    time->tv_usec = static_cast<suseconds_t>(ns % kNanosecondsPerSecond / 1000);
    return 0;
}

time_t page_time(time_t* result) {
    const auto seconds = static_cast<time_t>(read_page<true>() / kNanosecondsPerSecond);
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
