// One-shot timers on the monotonic clock, in the order of their deadlines, above the core's one
// hardware timer. Callbacks run from run_expired_timers(), in kernel context, outside of any other
// kernel code.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>

namespace coracle {

class Timer : public boost::intrusive::set_base_hook<
                  boost::intrusive::link_mode<boost::intrusive::safe_link>> {
  public:
    using Callback = void (*)(void* context);

    Timer(Callback callback, void* context) : callback_(callback), context_(context) {}
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
    friend void run_expired_timers();
    Callback callback_;
    void* context_;
    uint64_t deadline_ns_ = 0;
};

// Runs the callbacks that are due and arms the hardware for the next. Called by
// handle_pending_interrupts() for kPendingTimer.
void run_expired_timers();

}  // namespace coracle
