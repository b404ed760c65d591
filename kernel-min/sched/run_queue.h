// The threads that are ready to run on one CPU, in the order in which they should: real-time
// threads by priority, then the others by virtual run time. Pure logic: tested on the host.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/intrusive/set.hpp>
#include <cstdint>

#include "kernel-min/lib/seldom.h"
#include "kernel-min/sched/thread.h"

namespace coracle {

class RunQueue {
  public:
    bool is_empty() const { return !first(); }
    Thread* first() const { return first_.load(std::memory_order_relaxed); }

    // A thread that slept comes back with at most `credit` ticks of virtual run time to catch up.
    void add_woken(Thread& thread, uint64_t credit) {
        if (thread.key.rank == kFairRank) {
            thread.key.order = std::max(thread.key.order, floor_ - credit);
        } else {
            thread.key.order = next_arrival_++;
        }
        insert(thread);
    }
    // As add_woken(), for a fair thread and an empty queue.
    void add_only(Thread& thread, uint64_t credit) {
        thread.key.order = std::max(thread.key.order, floor_ - credit);
        set_first(&thread);
    }

    // One that ran until now; `at_end`: a real-time thread goes behind its equals.
    void add_preempted(Thread& thread, bool at_end) {
        if (thread.key.rank != kFairRank) {
            thread.key.order = at_end ? next_arrival_++ : --first_arrival_;
        }
        insert(thread);
    }

    void remove(Thread& thread) {
        if (&thread == first()) {
            remove_first();
        } else {
            rest_.erase(rest_.iterator_to(thread));
        }
    }

    // The first for which `condition` holds, removed.
    template <typename Condition>
    Thread* take_if(Condition condition) {
        Thread* taken = first() && condition(*first()) ? first() : nullptr;
        for (auto next = rest_.begin(); !taken && next != rest_.end(); ++next) {
            if (condition(*next)) taken = &*next;
        }
        if (taken) remove(*taken);
        return taken;
    }

    Thread* take_first() {
        Thread* thread = first();
        if (!thread) return nullptr;
        remove_first();
        if (thread->key.rank == kFairRank) floor_ = std::max(floor_, thread->key.order);
        return thread;
    }

    // The first if there are no others, else null.
    Thread* take_only() {
        Thread* thread = first();
        if (!thread || !rest_.empty()) return nullptr;
        set_first(nullptr);
        if (thread->key.rank == kFairRank) floor_ = std::max(floor_, thread->key.order);
        return thread;
    }

    // The virtual run time that newcomers start with.
    uint64_t floor() const { return floor_; }
    // A fair thread runs that has come to `order`: nobody starts before it and all who wait.
    void raise_floor(uint64_t order) {
        const Thread* waits = first();
        if (waits && waits->key.rank == kFairRank) order = std::min(order, waits->key.order);
        floor_ = std::max(floor_, order);
    }

  private:
    struct ByKey {
        bool operator()(const Thread& a, const Thread& b) const { return a.key < b.key; }
    };
    void insert(Thread& thread) {
        if (first()) return insert_beside_first(thread);
        set_first(&thread);
    }
    SELDOM void insert_beside_first(Thread& thread) {
        if (thread.key < first()->key) {
            rest_.push_front(*first());
            set_first(&thread);
        } else {
            rest_.insert(thread);
        }
    }
    void remove_first() {
        set_first(nullptr);
        if (!rest_.empty()) take_first_of_rest();
    }
    SELDOM void take_first_of_rest() {
        set_first(&*rest_.begin());
        rest_.erase(rest_.begin());
    }

    void set_first(Thread* thread) { first_.store(thread, std::memory_order_relaxed); }

    // Two threads that wake each other never touch the tree. Other CPUs look whether there is one.
    std::atomic<Thread*> first_{nullptr};
    boost::intrusive::multiset<Thread, boost::intrusive::base_hook<ReadyHook>,
                               boost::intrusive::compare<ByKey>,
                               boost::intrusive::constant_time_size<false>>
        rest_;
    uint64_t floor_ = kFirstVirtualTime;
    uint64_t next_arrival_ = uint64_t{1} << 63, first_arrival_ = uint64_t{1} << 63;
};

// What `ticks` of real time are worth to a fair thread of this weight.
inline uint64_t virtual_ticks(uint64_t ticks, uint32_t weight) {
    return weight == Thread::kNormalWeight ? ticks : ticks * Thread::kNormalWeight / weight;
}

}  // namespace coracle
