// The threads that are ready to run on one CPU, in the order in which they should: real-time
// threads by priority, then the others by virtual run time. Pure logic: tested on the host.
#pragma once

#include <boost/intrusive/set.hpp>
#include <cstdint>

#include "kernel-min/sched/thread.h"

namespace coracle {

class RunQueue {
  public:
    bool is_empty() const { return ready_.empty(); }
    Thread* first() { return ready_.empty() ? nullptr : &*ready_.begin(); }

    // A thread that slept comes back with at most `credit` ticks of virtual run time to catch up.
    void add_woken(Thread& thread, uint64_t credit) {
        if (thread.key.rank == kFairRank) {
            const uint64_t earliest = floor_ - credit;
            if (thread.key.order < earliest) thread.key.order = earliest;
        } else {
            thread.key.order = next_arrival_++;
        }
        insert(thread);
    }

    // One that ran until now; `at_end`: a real-time thread goes behind its equals.
    void add_preempted(Thread& thread, bool at_end) {
        if (thread.key.rank != kFairRank) {
            thread.key.order = at_end ? next_arrival_++ : --first_arrival_;
        }
        insert(thread);
    }

    void remove(Thread& thread) { ready_.erase(ready_.iterator_to(thread)); }

    // The first for which `condition` holds, removed.
    template <typename Condition>
    Thread* take_if(Condition condition) {
        for (Thread& thread : ready_) {
            if (!condition(thread)) continue;
            remove(thread);
            return &thread;
        }
        return nullptr;
    }

    Thread* take_first() {
        Thread* thread = first();
        if (!thread) return nullptr;
        remove(*thread);
        if (thread->key.rank == kFairRank && thread->key.order > floor_) {
            floor_ = thread->key.order;
        }
        return thread;
    }

    // The virtual run time that newcomers start with.
    uint64_t floor() const { return floor_; }

  private:
    struct ByKey {
        bool operator()(const Thread& a, const Thread& b) const { return a.key < b.key; }
    };
    void insert(Thread& thread) { ready_.insert(thread); }

    boost::intrusive::multiset<Thread, boost::intrusive::base_hook<ReadyHook>,
                               boost::intrusive::compare<ByKey>,
                               boost::intrusive::constant_time_size<false>>
        ready_;
    uint64_t floor_ = kFirstVirtualTime;
    uint64_t next_arrival_ = uint64_t{1} << 63, first_arrival_ = uint64_t{1} << 63;
};

// What `ticks` of real time are worth to a fair thread of this weight.
inline uint64_t virtual_ticks(uint64_t ticks, uint32_t weight) {
    return weight == Thread::kNormalWeight ? ticks : ticks * Thread::kNormalWeight / weight;
}

}  // namespace coracle
