// The one waiting primitive: a predicate, a deadline, and interruption by signals.
//
// A waiter enters its queue, tests its predicate, and sleeps; whoever makes the predicate true
// calls wake_all() afterwards. Because the entry is made before the test, no wake-up is lost.
// Entries live in the waiter's own frame, so waiting needs no memory.
//
//   TRY(wait_until(pipe.readable, Deadline::never(), [&] { return pipe.has_data(); }));
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/thread.h"

namespace coracle {

// A point on the monotonic clock (time.h: monotonic_ns()).
struct Deadline {
    uint64_t monotonic_ns;
    static constexpr Deadline never() { return Deadline{UINT64_MAX}; }
    static Deadline after(uint64_t nanoseconds);
    bool is_never() const { return monotonic_ns == UINT64_MAX; }
};

struct WaitEntry : boost::intrusive::list_base_hook<
                       boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    Thread* thread = current_thread();
};

class WaitQueue {
  public:
    void add(WaitEntry& entry) { entries_.push_back(entry); }
    void wake_all() {
        for (WaitEntry& entry : entries_) entry.thread->woken = true;
    }

  private:
    boost::intrusive::list<WaitEntry, boost::intrusive::constant_time_size<false>> entries_;
};

enum class Interruptible : bool { kNo, kYes };

// Sleeps until the current thread is woken, the deadline passes (ETIMEDOUT) or a signal is pending
// (kErestartsys). A wake-up since `woken` was last cleared ends it at once.
Result<void> sleep_until_woken(Deadline deadline, Interruptible interruptible);

template <typename Predicate>
Result<void> wait_until(WaitQueue& queue, Deadline deadline, Predicate predicate,
                        Interruptible interruptible = Interruptible::kYes) {
    WaitEntry entry;
    queue.add(entry);
    for (;;) {
        current_thread()->woken = false;
        if (predicate()) return {};
        TRY(sleep_until_woken(deadline, interruptible));
    }
}

}  // namespace coracle
