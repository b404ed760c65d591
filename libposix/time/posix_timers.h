// The timers of timer_create(2): per process, on many clocks, with a signal that counts the
// expirations that nobody saw.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>
#include <optional>

#include "kernel-min/lib/result.h"
#include "libposix/signals/pending_signals.h"
#include "libposix/time/clock_timer.h"

namespace coracle {

// Whom a timer tells: struct sigevent (man 7 sigevent).
struct TimerNotice {
    bool is_silent = false;  // SIGEV_NONE
    uint32_t tid = 0;        // SIGEV_THREAD_ID; 0: the process
    int signo = 0;
    std::optional<uint64_t> value = {};  // else the timer's id
};

class PosixTimer final : public TimerSignal,
                         public boost::intrusive::set_base_hook<
                             boost::intrusive::link_mode<boost::intrusive::safe_link>> {
  public:
    struct Setting {
        uint64_t value_ns = 0;  // until it expires next; 0: it does not run
        uint64_t interval_ns = 0;
    };

    PosixTimer(Process& process, int id, const TimerClock& clock, const TimerNotice& notice);

    int id() const { return id_; }
    // Man 2 timer_settime; with `is_absolute`, value_ns is a moment of the clock.
    void set(const Setting& setting, bool is_absolute);
    Setting get();
    int last_overrun() const;  // man 2 timer_getoverrun
    void on_taken(SignalInfo& info) override;

    friend bool operator<(const PosixTimer& a, const PosixTimer& b) { return a.id_ < b.id_; }

  private:
    static void expire(void* self);
    void send();
    // Goes on to the first expiration after now, and counts those that it passes.
    void forward();

    Process& process_;
    const int id_;
    const TimerClock own_clock_;
    const TimerNotice notice_;
    TimerClock clock_;  // what it runs on now: steps of the wall clock move absolute times only
    ClockTimer timer_;
    uint64_t expiry_ns_ = 0;  // 0: never set, or switched off
    uint64_t interval_ns_ = 0;
    bool goes_on_when_taken_ = false;  // its signal waits, and the interval with it
    int64_t overrun_ = -1, last_overrun_ = 0;
};

class PosixTimers {
  public:
    explicit PosixTimers(Process& process) : process_(process) {}
    ~PosixTimers() { remove_all(); }

    // EAGAIN: RLIMIT_SIGPENDING, or no memory.
    Result<PosixTimer*> create(const TimerClock& clock, const TimerNotice& notice);
    PosixTimer* find(int id);  // null: there is none
    void remove(PosixTimer& timer);
    void remove_all();  // execve(2), the process's end

  private:
    Process& process_;
    boost::intrusive::set<PosixTimer> timers_;
    int next_id_ = 0;
};

}  // namespace coracle
