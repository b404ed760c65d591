// A one-shot timer on any clock that has timers. On the wall clock it follows clock_settime(2); on
// a CPU clock it looks again as soon as the time can have been used.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/sched/timer_queue.h"
#include "libposix/time/clock_ids.h"

namespace coracle {

class ClockTimer : public boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    // Called as Timer's callbacks are; the timer is inactive then.
    using Callback = void (*)(void* context);

    ClockTimer(Callback callback, void* context)
        : callback_(callback), context_(context), timer_(on_timer, this) {}
    ClockTimer(const ClockTimer&) = delete;
    ClockTimer& operator=(const ClockTimer&) = delete;

    // (Re)starts it; a moment that has passed fires soon. A clock whose thread ends never fires.
    void start(const TimerClock& clock, uint64_t expiry_ns);
    void cancel();
    bool is_active() const { return timer_.is_active(); }

    // The wall clock was set.
    static void rearm_realtime();

  private:
    static void on_timer(void* self);
    void arm();

    Callback callback_;
    void* context_;
    Timer timer_;
    TimerClock clock_;
    uint64_t expiry_ns_ = 0;  // on the clock
    uint64_t seen_ns_ = 0;    // what a CPU clock showed when the timer was last armed
};

}  // namespace coracle
