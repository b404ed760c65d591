// How a thread wants to be scheduled (man 7 sched). With one thread there is nobody to prefer, so
// these are kept and told, and change nothing.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

enum class SchedulingPolicy : uint32_t {
    kOther = 0, kFifo = 1, kRoundRobin = 2, kBatch = 3, kIdle = 5, kDeadline = 6,
};

// The policy of a number that a program gave; EINVAL.
Result<SchedulingPolicy> to_scheduling_policy(uint32_t number);

constexpr bool is_realtime(SchedulingPolicy policy) {
    return policy == SchedulingPolicy::kFifo || policy == SchedulingPolicy::kRoundRobin;
}
constexpr int min_priority(SchedulingPolicy policy) { return is_realtime(policy) ? 1 : 0; }
constexpr int max_priority(SchedulingPolicy policy) { return is_realtime(policy) ? 99 : 0; }

constexpr int kMinNice = -20, kMaxNice = 19;
constexpr uint64_t kRoundRobinIntervalNs = 100'000'000;

struct Scheduling {
    SchedulingPolicy policy = SchedulingPolicy::kOther;
    int priority = 0;
    int nice = 0;
    bool reset_on_fork = false;
    int io_priority = 0;       // as ioprio_set(2) encodes it; 0: follows nice
};

}  // namespace coracle
