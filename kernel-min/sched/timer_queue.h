// One-shot timers on the monotonic clock, in the order of their deadlines, above each CPU's one
// hardware timer. Callbacks run from run_expired() on the CPU that started the timer, in kernel
// context, outside of any other kernel code. Timers may be started and cancelled under the kernel lock
// held locally.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>

#include "kernel-min/sched/local_lock.h"

namespace coracle {

class TimerQueue;

class Timer : public boost::intrusive::set_base_hook<
                  boost::intrusive::link_mode<boost::intrusive::safe_link>> {
  public:
    using Callback = void (*)(void* context);

    // The callback runs under the kernel lock held alone, or if that is enough for it locally.
    Timer(Callback callback, void* context, LockNeeded needs = LockNeeded::kAlone)
        : callback_(callback), context_(context), needs_(needs) {}
    ~Timer() { cancel(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    // (Re)starts it. A deadline that has passed fires at the next run_expired_timers().
    void start(uint64_t deadline_ns);
    void cancel();
    bool is_active() const { return is_linked(); }
    uint64_t deadline_ns() const { return deadline_ns_; }

    bool operator<(const Timer& other) const { return deadline_ns_ < other.deadline_ns_; }

  private:
    friend TimerQueue;
    Callback callback_;
    void* context_;
    LockNeeded needs_;
    uint64_t deadline_ns_ = 0;
    TimerQueue* queue_ = nullptr;  // since its first start, the latest
};

// The timers of one CPU.
class TimerQueue {
  public:
    void insert(Timer& timer);  // on its CPU
    void remove(Timer& timer);  // on any CPU
    // Runs the callbacks that are due and arms the hardware for the next. On its CPU.
    void run_expired();

  private:
    bool run_first();
    void arm_for_first();
    LocalLock lock_;
    boost::intrusive::multiset<Timer> timers_;
};

// The current CPU's.
TimerQueue& current_timer_queue();

}  // namespace coracle
