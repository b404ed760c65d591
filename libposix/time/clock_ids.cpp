#include "libposix/time/clock_ids.h"

#include <time.h>

#include "libposix/process/threads.h"
#include "libposix/time/clock.h"
#include "libposix/time/cpu_time.h"

namespace coracle {
namespace {

// ~id << 3 | thread << 2 | kind; kinds: user and system time (0), user time (1), both, exactly (2).
Result<TimerClock> cpu_clock(int clock) {
    constexpr int kKindMask = 3, kFileDescriptor = 3, kThread = 4;
    if ((clock & kKindMask) == kFileDescriptor) return Error(EINVAL);
    const auto id = static_cast<uint32_t>(~(clock >> 3));
    const Process& process = *current_process();
    if (clock & kThread) {
        auto thread = find_own_thread(static_cast<int>(id));
        if (!thread) return Error(EINVAL);
        return TimerClock{TimerClock::Kind::kThreadTime, &process, thread.value()->tid};
    }
    // A process may be named by its running thread too.
    if (id != 0 && id != process.pid && id != current_thread()->tid) return Error(EINVAL);
    return TimerClock{TimerClock::Kind::kProcessTime, &process};
}

}  // namespace

uint64_t TimerClock::now() const {
    switch (kind) {
        case Kind::kMonotonic:
            return monotonic_ns();
        case Kind::kRealtime:
            return realtime_ns();
        case Kind::kProcessTime:
            return process_cpu_time_ns(*process);
        case Kind::kThreadTime: {
            const Thread* thread = find_thread(tid);
            return thread && thread->process == process ? thread_cpu_time_ns(*thread) : 0;
        }
    }
    return 0;
}

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
            return process_cpu_time_ns(*current_process());
        case CLOCK_THREAD_CPUTIME_ID:
            return thread_cpu_time_ns(*current_thread());
        default:
            if (!is_cpu_clock_of_id(clock)) return Error(EINVAL);
            return TRY(cpu_clock(clock)).now();
    }
}

Result<TimerClock> timer_clock(int clock) {
    using Kind = TimerClock::Kind;
    switch (clock) {
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
            return TimerClock{Kind::kMonotonic};
        case CLOCK_REALTIME:
        case CLOCK_TAI:
            return TimerClock{Kind::kRealtime};
        case CLOCK_PROCESS_CPUTIME_ID:
            return TimerClock{Kind::kProcessTime, current_process()};
        case CLOCK_THREAD_CPUTIME_ID:
            return TimerClock{Kind::kThreadTime, current_process(), current_thread()->tid};
        case CLOCK_MONOTONIC_RAW:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
        case CLOCK_BOOTTIME_ALARM:
            return Error(EOPNOTSUPP);
        default:
            if (!is_cpu_clock_of_id(clock)) return Error(EINVAL);
            return cpu_clock(clock);
    }
}

}  // namespace coracle
