#include "kernel-min/sched/timer_queue.h"

#include <algorithm>

#include "kernel-min/devices/clock_source.h"

namespace coracle {
namespace {

boost::intrusive::multiset<Timer> timers;

// For the first timer in the queue; a late one is due at once.
void arm_for_first() {
    if (timers.empty()) return arm_clock_timer(0);
    const uint64_t now = monotonic_ns();
    const uint64_t deadline = timers.begin()->deadline_ns();
    arm_clock_timer(deadline > now ? deadline - now : 1);
}

}  // namespace

void Timer::start(uint64_t deadline_ns) {
    cancel();
    deadline_ns_ = deadline_ns;
    timers.insert(*this);
    if (&*timers.begin() == this) arm_for_first();
}

void Timer::cancel() {
    if (!is_active()) return;
    // The hardware may still fire for it: run_expired_timers() then finds nothing to do.
    timers.erase(timers.iterator_to(*this));
}

void run_expired_timers() {
    while (!timers.empty() && timers.begin()->deadline_ns() <= monotonic_ns()) {
        Timer& timer = *timers.begin();
        timers.erase(timers.begin());
        timer.callback_(timer.context_);
    }
    arm_for_first();
}

}  // namespace coracle
