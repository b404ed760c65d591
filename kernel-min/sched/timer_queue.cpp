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
    if (queue_) queue_->remove(*this);
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
    if (timer.is_active()) timers_.erase(timers_.iterator_to(timer));
}

// False if it is not due. Once it is out of the queue and the lock is free, the timer may be gone.
bool TimerQueue::run_first() {
    Timer::Callback callback = nullptr;
    void* context = nullptr;
    {
        LocalLockGuard guard(lock_);
        if (timers_.empty() || timers_.begin()->deadline_ns() > monotonic_ns()) return false;
        Timer& timer = *timers_.begin();
        if (timer.needs_ == LockNeeded::kLocally || !holds_lock_locally()) {
            callback = timer.callback_;
            context = timer.context_;
            timers_.erase(timers_.begin());
        }
    }
    callback ? callback(context) : hold_alone();
    return true;
}

void TimerQueue::run_expired() {
    while (run_first()) {
    }
    LocalLockGuard guard(lock_);
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
