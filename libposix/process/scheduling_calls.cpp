// The sched_ family but affinity.
#include <sched.h>
#include <time.h>

#include <algorithm>

#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/threads.h"
#include "syscall-table/abi.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr int kResetOnFork = SCHED_RESET_ON_FORK;

struct Attributes {  // struct sched_attr
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t utilization_min, utilization_max;
};
constexpr uint32_t kFirstSize = 48;
static_assert(sizeof(Attributes) == 56);

enum AttributeFlag : uint64_t {
    kFlagResetOnFork = 1,
    kFlagKeepPolicy = 8,
    kFlagKeepParameters = 16,
    kFlagsUtilization = 32 | 64,
    kFlagsKnown = 127,
};

// A tid of a call; 0 is the caller. EINVAL, ESRCH.
Result<Thread*> find_any(int tid) {
    if (tid < 0) return Error(EINVAL);
    return find_any_thread(tid);
}

// sched(7), "Privileges and resource limits". EPERM.
Result<void> check_privilege(const Thread& thread, const Scheduling& wanted) {
    if (may_raise_priority()) return {};
    const Scheduling& old = thread.state->scheduling;
    if (is_realtime(wanted.policy)) {
        const uint64_t limit = thread.process->limits.soft(Resource::kRealtimePriority);
        if (wanted.policy != old.policy && limit == 0) return Error(EPERM);
        if (wanted.priority > old.priority && static_cast<uint64_t>(wanted.priority) > limit) {
            return Error(EPERM);
        }
    } else if (wanted.nice < old.nice && !may_set_nice(thread, wanted.nice)) {
        return Error(EPERM);
    }
    // Out of SCHED_IDLE is a gain, as much as from the highest niceness.
    const bool leaves_idle = old.policy == SchedulingPolicy::kIdle && wanted.policy != old.policy;
    const auto needed = static_cast<uint64_t>(kMaxNice + 1 - old.nice);
    if (leaves_idle && needed > thread.process->limits.soft(Resource::kNice)) return Error(EPERM);
    if (old.reset_on_fork && !wanted.reset_on_fork) return Error(EPERM);
    return check_may_schedule(thread);
}

Result<long> change(Thread& thread, const Scheduling& wanted) {
    if (wanted.policy == SchedulingPolicy::kDeadline) return Error(EINVAL);
    if (wanted.priority < min_priority(wanted.policy) ||
        wanted.priority > max_priority(wanted.policy)) {
        return Error(EINVAL);
    }
    TRY(check_privilege(thread, wanted));
    thread.state->scheduling = wanted;
    apply_scheduling(thread);
    return 0;
}

// Bytes that we do not know must be zero. E2BIG, after the program is told the size that we do.
Result<Attributes> read_attributes(uint64_t address) {
    constexpr uint32_t kPageSize = 4096;
    uint32_t size = TRY(UserIn<uint32_t>(address).read());
    if (size == 0) size = kFirstSize;
    const auto refuse = [&]() -> Error {
        (void)UserOut<uint32_t>(address).write(sizeof(Attributes));
        return Error(E2BIG);
    };
    if (size < kFirstSize || size > kPageSize) return refuse();
    for (size_t at = sizeof(Attributes); at < size; at++) {
        if (TRY(UserIn<uint8_t>(address + at).read()) != 0) return refuse();
    }
    Attributes attributes = {};
    const size_t known = std::min<size_t>(size, sizeof(attributes));
    if (!copy_from_user(&attributes, address, known)) return Error(EFAULT);
    if ((attributes.flags & kFlagsUtilization) && size < sizeof(Attributes)) return Error(EINVAL);
    attributes.nice = std::clamp(attributes.nice, kMinNice, kMaxNice);
    return attributes;
}

}  // namespace

Result<long> sys_sched_setparam(int tid, UserIn<struct sched_param> param) {
    if (!param || tid < 0) return Error(EINVAL);
    const int priority = TRY(param.read()).sched_priority;
    Thread* thread = TRY(find_any(tid));
    Scheduling wanted = thread->state->scheduling;
    wanted.priority = priority;
    return change(*thread, wanted);
}

Result<long> sys_sched_getparam(int tid, UserOut<struct sched_param> param) {
    if (!param) return Error(EINVAL);
    const Thread* thread = TRY(find_any(tid));
    TRY(param.write({thread->state->scheduling.priority}));
    return 0;
}

Result<long> sys_sched_setscheduler(int tid, int policy, UserIn<struct sched_param> param) {
    if (policy < 0 || !param || tid < 0) return Error(EINVAL);
    const int priority = TRY(param.read()).sched_priority;
    Thread* thread = TRY(find_any(tid));
    Scheduling wanted = thread->state->scheduling;
    wanted.policy = TRY(to_scheduling_policy(static_cast<uint32_t>(policy & ~kResetOnFork)));
    wanted.priority = priority;
    wanted.reset_on_fork = policy & kResetOnFork;
    return change(*thread, wanted);
}

Result<long> sys_sched_getscheduler(int tid) {
    const Scheduling& scheduling = TRY(find_any(tid))->state->scheduling;
    const long flag = scheduling.reset_on_fork ? kResetOnFork : 0;
    return static_cast<long>(scheduling.policy) | flag;
}

Result<long> sys_sched_setattr(int tid, UserIn<struct sched_attr> user_attributes,
                               unsigned int flags) {
    if (!user_attributes || tid < 0 || flags) return Error(EINVAL);
    const Attributes attributes = TRY(read_attributes(user_attributes.address()));
    const bool keeps_policy = attributes.flags & kFlagKeepPolicy;
    if (static_cast<int>(attributes.policy) < 0) return Error(EINVAL);
    Thread* thread = TRY(find_any(tid));
    if (attributes.flags & ~kFlagsKnown) return Error(EINVAL);
    Scheduling wanted = thread->state->scheduling;
    if (!keeps_policy) wanted.policy = TRY(to_scheduling_policy(attributes.policy));
    if (!(attributes.flags & kFlagKeepParameters)) {
        wanted.priority = static_cast<int>(attributes.priority);
        if (!is_realtime(wanted.policy)) wanted.nice = attributes.nice;
    }
    wanted.reset_on_fork = keeps_policy ? wanted.reset_on_fork
                                        : (attributes.flags & kFlagResetOnFork) != 0;
    // Debian's kernel is built without utilization clamping.
    if (attributes.flags & kFlagsUtilization) return Error(EOPNOTSUPP);
    return change(*thread, wanted);
}

Result<long> sys_sched_getattr(int tid, UserOut<struct sched_attr> user_attributes,
                               unsigned int size, unsigned int flags) {
    constexpr uint32_t kPageSize = 4096;
    if (!user_attributes || tid < 0 || size > kPageSize || size < kFirstSize || flags) {
        return Error(EINVAL);
    }
    const Scheduling& scheduling = TRY(find_any(tid))->state->scheduling;
    Attributes attributes = {};
    attributes.size = std::min<uint32_t>(size, sizeof(attributes));
    attributes.policy = static_cast<uint32_t>(scheduling.policy);
    if (scheduling.reset_on_fork) attributes.flags = kFlagResetOnFork;
    if (is_realtime(scheduling.policy)) {
        attributes.priority = static_cast<uint32_t>(scheduling.priority);
    } else {
        attributes.nice = scheduling.nice;
    }
    if (!copy_to_user(user_attributes.address(), &attributes, attributes.size)) {
        return Error(EFAULT);
    }
    return 0;
}

Result<long> sys_sched_get_priority_max(int policy) {
    return max_priority(TRY(to_scheduling_policy(static_cast<uint32_t>(policy))));
}

Result<long> sys_sched_get_priority_min(int policy) {
    return min_priority(TRY(to_scheduling_policy(static_cast<uint32_t>(policy))));
}

Result<long> sys_sched_rr_get_interval(int tid, UserOut<timespec> interval) {
    constexpr long kFairSliceNs = 4'000'000;
    const Scheduling& scheduling = TRY(find_any(tid))->state->scheduling;
    timespec answer = {0, kFairSliceNs};
    if (scheduling.policy == SchedulingPolicy::kFifo) answer = {0, 0};
    if (scheduling.policy == SchedulingPolicy::kRoundRobin) {
        answer = {0, static_cast<long>(kRoundRobinSliceNs)};
    }
    TRY(interval.write(answer));
    return 0;
}

Result<long> sys_sched_yield() {
    yield();
    return 0;
}

}  // namespace coracle
