// The one waiting primitive: a predicate, a deadline, and interruption by signals.
//
// A waiter enters its queue, tests its predicate, and sleeps; whoever makes the predicate true
// calls wake_all() or wake_one() afterwards. Because the entry is made before the test, no wake-up
// is lost. Entries live in the waiter's own frame, so waiting needs no memory.
//
//   TRY(wait_until(pipe.readable, Deadline::never(), [&] { return pipe.has_data(); }));
//
// A queue that serves several conditions, such as a socket's, says at the wake-up which POLL* bits
// may have come true (POLLIN, POLLOUT ...); entries that ask for none of them are passed over.
#pragma once

#include <algorithm>
#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/scheduler.h"

namespace coracle {

// A point on the monotonic clock (time.h: monotonic_ns()).
struct Deadline {
    uint64_t monotonic_ns;
    static constexpr Deadline never() { return Deadline{UINT64_MAX}; }
    static Deadline after(uint64_t nanoseconds);
    bool is_never() const { return monotonic_ns == UINT64_MAX; }
};

constexpr uint32_t kAnyEvents = UINT32_MAX;

// What a queue holds: a sleeping thread, or with another wake function anything that wants to know
// (epoll's items). It leaves its queue when it is destroyed or by unlink().
struct WaitEntry
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    // Called at a wake-up with its events. It may unlink its own entry but change its queue in no
    // other way, and must not sleep. Tells whether it used the wake-up: for wake_one().
    using WakeFunction = bool (*)(WaitEntry& entry, uint32_t events);

    WaitEntry() = default;
    explicit WaitEntry(WakeFunction wake_function) : wake(wake_function) {}

    static bool wake_thread(WaitEntry& entry, uint32_t) {
        coracle::wake(*entry.thread);
        return true;
    }

    WakeFunction wake = wake_thread;
    Thread* thread = current_thread();
    // Wake-ups with none of these pass it over. With POLLERR and POLLHUP, which are always asked.
    uint32_t events = kAnyEvents;
    bool is_exclusive = false;  // wake_one() wakes one of these; set before add()
};

class WaitQueue {
  public:
    void add(WaitEntry& entry) {
        if (entry.is_exclusive) {
            entries_.push_back(entry);
        } else {
            entries_.push_front(entry);
        }
    }
    // Whether nobody waits: what a hot path asks before it prepares a wake-up.
    bool is_empty() const { return entries_.empty(); }
    void wake_all(uint32_t events = kAnyEvents) {
        if (!is_empty()) wake(events, UINT32_MAX);
    }
    // Wakes every entry that is not exclusive, and the exclusive one that has waited longest.
    void wake_one(uint32_t events = kAnyEvents) {
        if (!is_empty()) wake(events, 1);
    }

    template <typename Condition>
    bool all_of(Condition condition) const {
        return std::all_of(entries_.begin(), entries_.end(), condition);
    }

  private:
    void wake(uint32_t events, uint32_t exclusives) {
        for (auto next = entries_.begin(); next != entries_.end();) {
            WaitEntry& entry = *next++;
            if (!(entry.events & events) || !entry.wake(entry, events)) continue;
            if (entry.is_exclusive && --exclusives == 0) return;
        }
    }

    // Exclusive entries lie behind the others.
    boost::intrusive::list<WaitEntry, boost::intrusive::constant_time_size<false>> entries_;
};

enum class Interruptible : bool { kNo, kYes };

// Sleeps until the current thread is woken, the deadline passes (ETIMEDOUT) or a signal is pending
// (kErestartsys). A wake-up since `woken` was last cleared ends it at once.
Result<void> sleep_until_woken(Deadline deadline, Interruptible interruptible);

// As wait_until(), with an entry of the caller's: an exclusive one, or one with its own function.
template <typename Predicate>
Result<void> wait_with(WaitEntry& entry, WaitQueue& queue, Deadline deadline, Predicate predicate,
                       Interruptible interruptible = Interruptible::kYes) {
    for (;;) {
        if (!entry.is_linked()) queue.add(entry);
        current_thread()->woken = false;
        if (predicate()) return {};
        TRY(sleep_until_woken(deadline, interruptible));
    }
}

template <typename Predicate>
Result<void> wait_until(WaitQueue& queue, Deadline deadline, Predicate predicate,
                        Interruptible interruptible = Interruptible::kYes) {
    WaitEntry entry;
    return wait_with(entry, queue, deadline, predicate, interruptible);
}

}  // namespace coracle
