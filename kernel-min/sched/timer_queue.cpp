#include "kernel-min/sched/timer_queue.h"

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/kernel_lock.h"

namespace coracle {

void Timer::start(uint64_t deadline_ns) {
    cancel();
    deadline_ns_ = deadline_ns;
    current_timer_queue().insert(*this);
}

void Timer::cancel() {
    if (is_active()) queue_->remove(*this);
}

void TimerQueue::insert(Timer& timer) {
    timer.queue_ = this;
    LocalLockGuard guard(lock_);
    timers_.insert(timer);
    if (&*timers_.begin() == &timer) arm_for_first();
}

// The hardware may still fire for it: run_expired() then finds nothing to do.
void TimerQueue::remove(Timer& timer) {
    LocalLockGuard guard(lock_);
    timers_.erase(timers_.iterator_to(timer));
}

void TimerQueue::run_expired() {
    while (!timers_.empty() && timers_.begin()->deadline_ns() <= monotonic_ns()) {
        Timer& timer = *timers_.begin();
        timers_.erase(timers_.begin());
        timer.callback_(timer.context_);
    }
    arm_for_first();
}

// A late one is due at once.
void TimerQueue::arm_for_first() {
    if (timers_.empty()) return arm_clock_timer(0);
    const uint64_t now = monotonic_ns();
    const uint64_t deadline = timers_.begin()->deadline_ns();
    arm_clock_timer(deadline > now ? deadline - now : 1);
}

}  // namespace coracle
