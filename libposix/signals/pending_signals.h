// The signals that wait for a thread or a process (man 7 signal, "Queueing and delivery
// semantics"): one instance of each standard signal, any number of each real-time signal.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/lib/result.h"
#include "libposix/signals/signal_abi.h"

namespace coracle {

class TimerSignal;

// A place in a queue. Counted for RLIMIT_SIGPENDING from its making to its end, for all users
// together: the guest is one program's.
struct QueuedSignal : boost::intrusive::list_base_hook<> {
    explicit QueuedSignal(const SignalInfo& info_in);
    ~QueuedSignal();
    SignalInfo info;
    TimerSignal* owner = nullptr;  // whose it is; else the queue deletes it
};
uint64_t queued_signal_count();

// The place of one who signals again and again, kept so that it never lacks memory.
class TimerSignal {
  public:
    TimerSignal() = default;
    TimerSignal(const TimerSignal&) = delete;
    TimerSignal& operator=(const TimerSignal&) = delete;

    // EAGAIN: no room within `queue_limit` (RLIMIT_SIGPENDING) or no memory.
    Result<void> reserve(uint64_t queue_limit);
    SignalInfo& info() { return place_->info; }
    bool is_queued() const { return place_ && place_->is_linked(); }

    // The signal has been taken; `info` is what its receiver will see, and may be changed.
    virtual void on_taken(SignalInfo& info) = 0;

  protected:
    // What waits still comes, as on Linux.
    ~TimerSignal();

  private:
    friend class PendingSignals;
    QueuedSignal* place_ = nullptr;
};

class PendingSignals {
  public:
    enum class AddOutcome {
        kAdded,
        kAlreadyPending,  // a standard signal that waits already: dropped, and no error
        kQueueFull,       // EAGAIN for sigqueue(3)
    };

    PendingSignals() = default;
    PendingSignals(const PendingSignals&) = delete;
    PendingSignals& operator=(const PendingSignals&) = delete;
    ~PendingSignals() { remove(~SignalSet{0}); }

    SignalSet set() const { return set_; }

    // `queue_limit`: RLIMIT_SIGPENDING. Without room or memory, a signal whose sender need not
    // know (kill(2), the kernel) still becomes pending, and loses only its details.
    AddOutcome add(const SignalInfo& info, uint64_t queue_limit);
    // Precondition: it has reserved its place, which is not queued.
    void add(TimerSignal& signal);

    // Takes the next signal of `allowed` into `info`, those for faults first, then the lowest
    // number, each in order of arrival. False if there is none.
    bool take(SignalSet allowed, SignalInfo& info);

    // Forgets every signal of `signals`.
    void remove(SignalSet signals);

  private:
    void release(QueuedSignal& place);

    SignalSet set_ = 0;
    boost::intrusive::list<QueuedSignal> queue_;
};

}  // namespace coracle
