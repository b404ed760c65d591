// The three timers of setitimer(2), which signal their process.
#pragma once

#include <cstdint>

#include "libposix/time/clock_timer.h"

namespace coracle {

enum class IntervalTimer : unsigned { kReal = 0, kVirtual = 1, kProfiling = 2 };
constexpr unsigned kIntervalTimerCount = 3;

class Process;

// Each belongs to its process and is not inherited over fork(2).
class IntervalTimers {
  public:
    struct Setting {
        uint64_t value_ns = 0;  // until it expires next; 0: it does not run
        uint64_t interval_ns = 0;
    };

    explicit IntervalTimers(Process& process) : process_(process) {}

    Setting get(IntervalTimer which) const;
    void set(IntervalTimer which, Setting setting);

  private:
    struct Slot {
        Slot(IntervalTimers* owner_in, IntervalTimer which_in)
            : owner(owner_in), which(which_in), timer(expire, this) {}
        IntervalTimers* owner;
        IntervalTimer which;
        ClockTimer timer;
        uint64_t expiry_ns = 0;  // on this timer's clock
        uint64_t interval_ns = 0;
    };

    static void expire(void* slot);
    TimerClock clock(IntervalTimer which) const;
    Slot& slot(IntervalTimer which) { return slots_[static_cast<unsigned>(which)]; }
    const Slot& slot(IntervalTimer which) const { return slots_[static_cast<unsigned>(which)]; }

    Process& process_;
    Slot slots_[kIntervalTimerCount] = {{this, IntervalTimer::kReal},
                                        {this, IntervalTimer::kVirtual},
                                        {this, IntervalTimer::kProfiling}};
};

}  // namespace coracle
