// The signals that wait for a thread or a process (man 7 signal, "Queueing and delivery
// semantics"): one instance of each standard signal, any number of each real-time signal.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/lib/result.h"
#include "libposix/signals/signal_abi.h"

namespace coracle {

class TimerSignal;

// Who signals are for, by real user id, and how many may wait for that user in all queues
// (RLIMIT_SIGPENDING).
struct SignalQuota {
    uint32_t uid;
    uint64_t limit;
};
struct SignalUser;

// A place in a queue. Counted for its user from its making to its end.
struct QueuedSignal : boost::intrusive::list_base_hook<> {
    // Null without memory or, but for signals that need no room, within the quota.
    static QueuedSignal* make(const SignalInfo& info, SignalQuota quota, bool needs_room);
    ~QueuedSignal();

    SignalInfo info;
    TimerSignal* owner = nullptr;  // whose it is; else the queue deletes it

  private:
    QueuedSignal(const SignalInfo& info_in, SignalUser& user);
    SignalUser& user_;
};
uint64_t queued_signal_count(uint32_t uid);

// The place of one who signals again and again, kept so that it never lacks memory.
class TimerSignal {
  public:
    TimerSignal() = default;
    TimerSignal(const TimerSignal&) = delete;
    TimerSignal& operator=(const TimerSignal&) = delete;

    // EAGAIN: no room within the quota, or no memory.
    Result<void> reserve(SignalQuota quota);
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

    // Without room or memory, a signal whose sender need not know (kill(2), the kernel) still
    // becomes pending, and loses only its details.
    AddOutcome add(const SignalInfo& info, SignalQuota quota);
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
