#include "libposix/process/scheduling.h"

#include "kernel-min/sched/scheduler.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

// Each step of niceness is worth a quarter more time, as on Linux (sched_prio_to_weight).
constexpr uint32_t kWeights[kMaxNice - kMinNice + 1] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916,
    9548,  7620,  6100,  4904,  3906,  3121,  2501,  1991,  1586,  1277,
    1024,  820,   655,   526,   423,   335,   272,   215,   172,   137,
    110,   87,    70,    56,    45,    36,    29,    23,    18,    15,
};
constexpr uint32_t kIdleWeight = 3;

}  // namespace

Result<SchedulingPolicy> to_scheduling_policy(uint32_t number) {
    const auto policy = static_cast<SchedulingPolicy>(number);
    switch (policy) {
        case SchedulingPolicy::kOther:
        case SchedulingPolicy::kFifo:
        case SchedulingPolicy::kRoundRobin:
        case SchedulingPolicy::kBatch:
        case SchedulingPolicy::kIdle:
        case SchedulingPolicy::kDeadline:
            return policy;
    }
    return Error(EINVAL);
}

uint32_t rank_of(const Scheduling& scheduling) {
    if (!is_realtime(scheduling.policy)) return kFairRank;
    return static_cast<uint32_t>(99 - scheduling.priority);
}

uint32_t weight_of(const Scheduling& scheduling) {
    if (scheduling.policy == SchedulingPolicy::kIdle) return kIdleWeight;
    return kWeights[scheduling.nice - kMinNice];
}

Scheduling inherited_scheduling(const Scheduling& parent) {
    Scheduling child = parent;
    if (!parent.reset_on_fork) return child;
    child.reset_on_fork = false;
    if (is_realtime(parent.policy)) {
        child.policy = SchedulingPolicy::kOther;
        child.priority = child.nice = 0;
    }
    if (child.nice < 0) child.nice = 0;
    return child;
}

void apply_scheduling(Thread& thread) {
    const Scheduling& scheduling = thread.state->scheduling;
    thread.is_round_robin = scheduling.policy == SchedulingPolicy::kRoundRobin;
    set_own_entitlement(thread, rank_of(scheduling), weight_of(scheduling));
}

void apply_first_scheduling(Thread& thread) {
    const Scheduling& scheduling = thread.state->scheduling;
    Inheritance& inheritance = thread.state->inheritance;
    inheritance.own_rank = rank_of(scheduling);
    inheritance.own_weight = weight_of(scheduling);
    thread.is_round_robin = scheduling.policy == SchedulingPolicy::kRoundRobin;
    // The parent's may be lent, or not be inherited.
    if (thread.key.rank != inheritance.own_rank)
        set_entitlement(thread, inheritance.own_rank, inheritance.own_weight);
    thread.weight = inheritance.own_weight;
}

Result<void> check_may_schedule(const Thread& thread) {
    const Credentials& own = current_credentials();
    const Credentials& other = thread.process->credentials;
    if (own.euid != other.euid && own.euid != other.uid && !may_raise_priority()) {
        return Error(EPERM);
    }
    return {};
}

// The limit counts from 1 (nice 19) to 40 (nice -20).
bool may_set_nice(const Thread& thread, int nice) {
    if (nice >= thread.state->scheduling.nice || may_raise_priority()) return true;
    const auto wanted = static_cast<uint64_t>(kMaxNice + 1 - nice);
    return wanted <= thread.process->limits.soft(Resource::kNice);
}

bool may_raise_priority() { return current_credentials().has_capability(kCapSysNice); }

}  // namespace coracle
