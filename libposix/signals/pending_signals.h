// The signals that wait for a thread or a process (man 7 signal, "Queueing and delivery
// semantics"): one instance of each standard signal, any number of each real-time signal.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "libposix/signals/signal_abi.h"

namespace coracle {

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

    // Takes the next signal of `allowed` into `info`, those for faults first, then the lowest
    // number, each in order of arrival. False if there is none.
    bool take(SignalSet allowed, SignalInfo& info);

    // Forgets every signal of `signals`.
    void remove(SignalSet signals);

  private:
    struct Entry : boost::intrusive::list_base_hook<> {
        SignalInfo info;
    };

    SignalSet set_ = 0;
    uint64_t queued_ = 0;
    boost::intrusive::list<Entry> entries_;
};

}  // namespace coracle
