// The functions of the vDSO (man 7 vdso): what own-libc programs (Go's, static ones, musl's) read
// from the process page instead of making a system call.
#include <sys/time.h>

#include "kernel-min/core/layout.h"
#include "libposix/time/vdso/read_clock.h"

using coracle::is_one_of;
using coracle::kMonotonicClocks;
using coracle::kNanosecondsPerSecond;
using coracle::kRealtimeClocks;
using coracle::read_clock;

// The page before the vDSO (vdso.ld). Not const: the kernel changes it.
extern "C" coracle::abi::ProcessPage vdso_process_page __attribute__((visibility("hidden")));

namespace {

constexpr uint32_t kClockGettime = 228, kClockGetres = 229, kGettimeofday = 96, kTime = 201;
constexpr long kTickNs = 4'000'000;  // of the coarse clocks

// The way to the kernel for what the page does not tell.
long call(uint32_t number, uint64_t first, uint64_t second = 0) {
    using Entry = long (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);
    const auto* entries = reinterpret_cast<const Entry*>(vdso_process_page.call_entries);
    return entries[number](first, second, 0, 0, 0, 0);
}

bool has_clock() { return vdso_process_page.clock.multiplier != 0; }

int store(uint64_t ns, timespec* time) {
    time->tv_sec = static_cast<time_t>(ns / kNanosecondsPerSecond);
    time->tv_nsec = static_cast<long>(ns % kNanosecondsPerSecond);
    return 0;
}

}  // namespace

extern "C" {

int __vdso_clock_gettime(clockid_t clock, timespec* time) {
    if (static_cast<uint32_t>(clock) <= CLOCK_BOOTTIME && has_clock()) {
        if (is_one_of(kMonotonicClocks, clock)) {
            return store(read_clock<false>(vdso_process_page.clock), time);
        }
        if (is_one_of(kRealtimeClocks, clock)) {
            return store(read_clock<true>(vdso_process_page.clock), time);
        }
    }
    return static_cast<int>(call(kClockGettime, static_cast<uint64_t>(clock),
                                 reinterpret_cast<uint64_t>(time)));
}

int __vdso_clock_getres(clockid_t clock, timespec* resolution) {
    constexpr uint32_t kCoarse = 1U << CLOCK_REALTIME_COARSE | 1U << CLOCK_MONOTONIC_COARSE;
    if (static_cast<uint32_t>(clock) > CLOCK_BOOTTIME) {
        return static_cast<int>(call(kClockGetres, static_cast<uint64_t>(clock),
                                     reinterpret_cast<uint64_t>(resolution)));
    }
    if (resolution != nullptr) *resolution = {0, is_one_of(kCoarse, clock) ? kTickNs : 1};
    return 0;
}

int __vdso_gettimeofday(timeval* time, void* zone) {
    // The time zone is the kernel's: nobody asks for it often.
    if (zone != nullptr || !has_clock()) {
        return static_cast<int>(call(kGettimeofday, reinterpret_cast<uint64_t>(time),
                                     reinterpret_cast<uint64_t>(zone)));
    }
    if (time == nullptr) return 0;
    const uint64_t ns = read_clock<true>(vdso_process_page.clock);
    time->tv_sec = static_cast<time_t>(ns / kNanosecondsPerSecond);
    time->tv_usec = static_cast<suseconds_t>(ns % kNanosecondsPerSecond / 1000);
    return 0;
}

time_t __vdso_time(time_t* result) {
    if (!has_clock()) return call(kTime, reinterpret_cast<uint64_t>(result));
    const auto seconds =
        static_cast<time_t>(read_clock<true>(vdso_process_page.clock) / kNanosecondsPerSecond);
    if (result != nullptr) *result = seconds;
    return seconds;
}

// There is one memory node, and GS is the running CPU's (kernel-min/sched/cpu.h).
int __vdso_getcpu(unsigned* cpu, unsigned* node) {
    if (cpu != nullptr) asm volatile("mov %%gs:%c1, %0" : "=r"(*cpu) : "i"(CPU_ID));
    if (node != nullptr) *node = 0;
    return 0;
}

#define ALSO(name) __attribute__((weak, alias("__vdso_" #name)))
ALSO(clock_gettime) int clock_gettime(clockid_t, timespec*) noexcept;
ALSO(clock_getres) int clock_getres(clockid_t, timespec*) noexcept;
ALSO(gettimeofday) int gettimeofday(timeval*, void*) noexcept;
ALSO(time) time_t time(time_t*) noexcept;
ALSO(getcpu) int getcpu(unsigned*, unsigned*) noexcept;

}  // extern "C"
