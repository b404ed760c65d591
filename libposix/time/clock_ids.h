// The clocks of clock_gettime(2) and their like, by number.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/thread.h"

namespace coracle {

// A clock that timers can run on.
struct TimerClock {
    enum class Kind : uint8_t { kMonotonic, kRealtime, kProcessTime, kThreadTime };
    Kind kind = Kind::kMonotonic;
    // Whose CPU time it is.
    const Process* process = nullptr;
    uint32_t tid = 0;

    bool is_cpu_time() const { return kind >= Kind::kProcessTime; }
    // Nanoseconds; 0 once the thread has gone.
    uint64_t now() const;
};

// What the clock shows. EINVAL: no such clock; the alarm clocks need a device that wakes a
// sleeping machine, which there is not, and give EINVAL as on such a Linux.
Result<uint64_t> clock_now(int clock);

// The same for timers. EINVAL: no such clock; EOPNOTSUPP: it has no timers.
Result<TimerClock> timer_clock(int clock);

// Whether the number is one of CLOCK_PROCESS_CPUTIME_ID's kind, made of a process or thread id
// (Linux's include/linux/posix-timers_types.h).
constexpr bool is_cpu_clock_of_id(int clock) { return clock < 0; }

}  // namespace coracle
