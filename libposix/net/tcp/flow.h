// What the table of flows holds: connections, half-open ones of a listener (SYN received), and what
// is left of closed ones (TIME-WAIT). Each has one timer.
#pragma once

#include <boost/intrusive/set.hpp>

#include "kernel-min/sched/kernel_lock.h"
#include "libposix/net/address.h"

namespace coracle::net::tcp {

constexpr uint64_t kNever = UINT64_MAX;

enum class FlowKind : uint8_t { kConnection, kHalfOpen, kTimeWait };

struct Flow
    : boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>> {
    explicit Flow(FlowKind flow_kind) : kind(flow_kind) {}
    Flow(const Flow&) = delete;
    Flow& operator=(const Flow&) = delete;

    FlowKey key;
    uint64_t hash = 0;
    Flow* next_in_bucket = nullptr;
    uint64_t timer_ns = kNever;  // when it fires; of FlowTimers
    FlowKind kind;
    bool in_table = false;
    // The CPU that processes its segments; kNoHome: any, under the kernel lock held alone.
    uint32_t home = kNoHome;
    uint16_t timer_cpu = 0;  // in whose FlowTimers it is, if it is in any
};

// Chained hash table that grows with its content. Holds no references: who inserts keeps the flow
// alive until it is removed.
class FlowTable {
  public:
    FlowTable() = default;
    ~FlowTable();
    FlowTable(const FlowTable&) = delete;
    FlowTable& operator=(const FlowTable&) = delete;

    Flow* find(const FlowKey& key, uint64_t hash) const {
        if (!buckets_) return nullptr;
        for (Flow* flow = buckets_[hash & mask_]; flow; flow = flow->next_in_bucket) {
            if (flow->hash == hash && flow->key == key) return flow;
        }
        return nullptr;
    }
    // False when out of memory. Preconditions: key and hash are set; no such flow is in it.
    bool insert(Flow& flow);
    void remove(Flow& flow);
    size_t size() const { return size_; }

    // Calls visit(Flow&) for each; `visit` must not change the table.
    template <typename Visit>
    void for_each(Visit visit) const {
        for (size_t i = 0; buckets_ && i <= mask_; i++) {
            for (Flow* flow = buckets_[i]; flow; flow = flow->next_in_bucket) visit(*flow);
        }
    }

  private:
    bool grow();
    Flow** buckets_ = nullptr;
    size_t mask_ = 0;
    size_t size_ = 0;
};

// Timers of one CPU, in the order of their deadlines.
class FlowTimers {
  public:
    // It must not be among another CPU's. Returns the earliest deadline of all.
    uint64_t set(Flow& flow, uint64_t deadline_ns) {
        LocalLockGuard guard(lock_);
        if (flow.is_linked()) timers_.erase(timers_.iterator_to(flow));
        flow.timer_ns = deadline_ns;
        if (deadline_ns != kNever) timers_.insert(flow);
        return next_deadline_ns();
    }
    void cancel(Flow& flow) { set(flow, kNever); }
    // This and what follows: under the kernel lock held alone.
    uint64_t next_deadline_ns() const {
        return timers_.empty() ? kNever : timers_.begin()->timer_ns;
    }
    Flow* first() { return timers_.empty() ? nullptr : &*timers_.begin(); }
    // Takes out the first that is due; null if none is.
    Flow* take_due(uint64_t now_ns) {
        if (timers_.empty() || timers_.begin()->timer_ns > now_ns) return nullptr;
        Flow& flow = *timers_.begin();
        timers_.erase(timers_.begin());
        flow.timer_ns = kNever;
        return &flow;
    }

  private:
    struct Earlier {
        bool operator()(const Flow& a, const Flow& b) const { return a.timer_ns < b.timer_ns; }
    };
    LocalLock lock_;  // for a flow that moves to another CPU's
    boost::intrusive::multiset<Flow, boost::intrusive::compare<Earlier>> timers_;
};

}  // namespace coracle::net::tcp
