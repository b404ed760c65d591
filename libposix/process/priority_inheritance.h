// Priority inheritance: who owns a lock that others wait for runs as soon as the most urgent of
// them would, and so on along a chain of owners that wait themselves. Linux lends real-time
// priorities, not niceness, and so do we.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/sched/thread.h"
#include "libposix/process/futex_table.h"

namespace coracle {

struct LenderHook : boost::intrusive::list_base_hook<
                        boost::intrusive::link_mode<boost::intrusive::auto_unlink>,
                        boost::intrusive::tag<LenderHook>> {};

// A thread that waits for a lock, and lends its priority to the owner.
struct LockWaiter : FutexWaiter, LenderHook {
    Thread* owner = nullptr;
    bool owner_died = false;  // at the end of the wait: the lock comes from a thread that ended
    FutexKey requeue_key;     // of a kForRequeue: the lock to which it wants to go
};

using LenderList = boost::intrusive::list<LockWaiter, boost::intrusive::base_hook<LenderHook>,
                                          boost::intrusive::constant_time_size<false>>;

// A thread's part.
struct Inheritance {
    uint32_t own_rank = kFairRank;
    uint32_t own_weight = Thread::kNormalWeight;
    LenderList lenders;                // those that wait for what it owns
    LockWaiter* blocked_on = nullptr;  // what it waits for itself
};

// What the thread is entitled to without its lenders.
void set_own_entitlement(Thread& thread, uint32_t rank, uint32_t weight);

// The waiter, which is in its futex's bucket, waits for `owner`, and no longer.
void start_lending(LockWaiter& waiter, Thread& owner);
void stop_lending(LockWaiter& waiter);

// Whether the owner waits, perhaps through others, for what `thread` owns.
bool waits_for(const Thread& owner, const Thread& thread);

}  // namespace coracle
