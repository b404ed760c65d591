// How a thread wants to be scheduled (man 7 sched), and what the scheduler makes of it.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

struct Thread;

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

struct Scheduling {
    SchedulingPolicy policy = SchedulingPolicy::kOther;
    int priority = 0;
    int nice = 0;
    bool reset_on_fork = false;
    int io_priority = 0;       // as ioprio_set(2) encodes it; 0: follows nice
};

// The scheduler's terms (sched/scheduler.h): real-time priorities become ranks, niceness and
// SCHED_IDLE weights.
uint32_t rank_of(const Scheduling& scheduling);
uint32_t weight_of(const Scheduling& scheduling);

// What a new thread starts with, by SCHED_RESET_ON_FORK.
Scheduling inherited_scheduling(const Scheduling& parent);

// Tells the scheduler of a change.
void apply_scheduling(Thread& thread);
// The same for a thread that has not started.
void apply_first_scheduling(Thread& thread);

// Whether the current process may change how this thread is scheduled: it has the same owner, or
// the capability to do so. EPERM.
Result<void> check_may_schedule(const Thread& thread);
// Whether the thread may become that much nicer or less nice: RLIMIT_NICE.
bool may_set_nice(const Thread& thread, int nice);
bool may_raise_priority();  // CAP_SYS_NICE

}  // namespace coracle
