#include "libposix/time/clock_timer.h"

#include <algorithm>

#include "kernel-min/devices/clock_source.h"

namespace coracle {
namespace {

// How often a CPU clock that stands still is looked at: Linux, too, tells CPU time in ticks.
constexpr uint64_t kTickNs = 4'000'000;

using Timers = boost::intrusive::list<ClockTimer, boost::intrusive::constant_time_size<false>>;
Timers& realtime_timers() {
    static Timers timers;
    return timers;
}

}  // namespace

void ClockTimer::start(const TimerClock& clock, uint64_t expiry_ns) {
    cancel();
    clock_ = clock;
    expiry_ns_ = expiry_ns;
    seen_ns_ = 0;
    if (clock.kind == TimerClock::Kind::kRealtime) realtime_timers().push_back(*this);
    arm();
}

void ClockTimer::cancel() {
    timer_.cancel();
    unlink();
}

void ClockTimer::rearm_realtime() {
    for (ClockTimer& timer : realtime_timers()) timer.arm();
}

// The earliest moment to look again: other clocks pass no quicker than the monotonic one, but for
// the steps of the wall clock, and a process's on several CPUs.
void ClockTimer::arm() {
    const uint64_t now = clock_.now();
    uint64_t rest = expiry_ns_ > now ? expiry_ns_ - now : 0;
    if (clock_.is_cpu_time()) {
        if (clock_.kind == TimerClock::Kind::kProcessTime) rest /= cpu_count;
        if (now == seen_ns_ && rest) rest = std::max(rest, kTickNs);
        seen_ns_ = now;
    }
    const uint64_t moment = monotonic_ns();
    timer_.start(rest > UINT64_MAX - moment ? UINT64_MAX : moment + rest);
}

void ClockTimer::on_timer(void* self) {
    auto& timer = *static_cast<ClockTimer*>(self);
    if (timer.clock_.now() < timer.expiry_ns_) return timer.arm();
    timer.unlink();
    timer.callback_(timer.context_);
}

}  // namespace coracle
