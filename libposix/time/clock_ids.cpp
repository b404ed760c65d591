#include "libposix/time/clock_ids.h"

#include <time.h>

#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/cpu_time.h"

namespace coracle {
namespace {

// Linux's include/linux/posix-timers_types.h: ~pid << 3 | thread << 2 | kind.
Result<uint64_t> cpu_clock_now(int clock) {
    constexpr int kKindMask = 3, kFileDescriptor = 3, kThread = 4;
    if ((clock & kKindMask) == kFileDescriptor) return Error(EINVAL);
    const auto id = static_cast<uint32_t>(~(clock >> 3));
    const uint32_t own = clock & kThread ? current_thread()->tid : current_process()->pid;
    if (id != 0 && id != own) return Error(EINVAL);
    return process_cpu_time_ns();
}

}  // namespace

Result<uint64_t> clock_now(int clock) {
    switch (clock) {
        case CLOCK_MONOTONIC:
        case CLOCK_MONOTONIC_RAW:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_BOOTTIME:
            return monotonic_ns();
        case CLOCK_REALTIME:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_TAI:
            return realtime_ns();
        case CLOCK_PROCESS_CPUTIME_ID:
        case CLOCK_THREAD_CPUTIME_ID:
            return process_cpu_time_ns();
        default:
            if (clock < 0) return cpu_clock_now(clock);
            return Error(EINVAL);
    }
}

}  // namespace coracle
