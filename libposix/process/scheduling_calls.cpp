// getpriority, setpriority, the sched_ family, ioprio_get, ioprio_set, getcpu.
#include <sched.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr int kResetOnFork = SCHED_RESET_ON_FORK;

Scheduling& scheduling() { return current_thread()->state->scheduling; }

// The only thread that can be named is the caller. EINVAL, ESRCH.
Result<void> check_thread(int pid) {
    if (pid < 0) return Error(EINVAL);
    if (pid != 0 && static_cast<uint32_t>(pid) != current_thread()->tid) return Error(ESRCH);
    return {};
}

bool may_raise() { return current_process()->credentials.has_capability(kCapSysNice); }

// RLIMIT_NICE counts from 1 (nice 19) to 40 (nice -20).
bool may_set_nice(int nice) {
    if (nice >= scheduling().nice || may_raise()) return true;
    const auto wanted = static_cast<uint64_t>(kMaxNice + 1 - nice);
    return wanted <= current_process()->limits.soft(Resource::kNice);
}

// Who setpriority(2) and ioprio_set(2) mean. EINVAL for an unknown kind.
enum class Kind { kProcess, kGroup, kUser };
Result<void> check_target(Kind kind, int who) {
    const Process& process = *current_process();
    const auto id = static_cast<uint32_t>(who);
    uint32_t own = process.pid;
    if (kind == Kind::kGroup) own = process.process_group;
    if (kind == Kind::kUser) own = process.credentials.uid;
    if (who != 0 && id != own) return Error(ESRCH);
    return {};
}

Result<Kind> priority_kind(int which) {
    if (which < PRIO_PROCESS || which > PRIO_USER) return Error(EINVAL);
    return static_cast<Kind>(which);
}

Result<long> set_policy(int policy_and_flag, int priority) {
    const SchedulingPolicy policy =
        TRY(to_scheduling_policy(static_cast<uint32_t>(policy_and_flag & ~kResetOnFork)));
    // Bandwidth goes with sched_setattr(2) alone.
    if (policy == SchedulingPolicy::kDeadline) return Error(EINVAL);
    if (priority < min_priority(policy) || priority > max_priority(policy)) return Error(EINVAL);
    const bool is_higher = is_realtime(policy) && (!is_realtime(scheduling().policy) ||
                                                   priority > scheduling().priority);
    const uint64_t limit = current_process()->limits.soft(Resource::kRealtimePriority);
    if (is_higher && !may_raise() && static_cast<uint64_t>(priority) > limit) return Error(EPERM);
    scheduling().policy = policy;
    scheduling().priority = priority;
    scheduling().reset_on_fork = policy_and_flag & kResetOnFork;
    return 0;
}

}  // namespace

Result<SchedulingPolicy> to_scheduling_policy(uint32_t number) {
    switch (number) {
        case SCHED_OTHER:
        case SCHED_FIFO:
        case SCHED_RR:
        case SCHED_BATCH:
        case SCHED_IDLE:
        case 6:  // SCHED_DEADLINE
            return static_cast<SchedulingPolicy>(number);
        default:
            return Error(EINVAL);
    }
}

Result<long> sys_getpriority(int which, int who) {
    TRY(check_target(TRY(priority_kind(which)), who));
    return kMaxNice + 1 - scheduling().nice;
}

Result<long> sys_setpriority(int which, int who, int priority) {
    const Kind kind = TRY(priority_kind(which));
    const int nice = std::clamp(priority, kMinNice, kMaxNice);
    TRY(check_target(kind, who));
    if (!may_set_nice(nice)) return Error(EACCES);
    scheduling().nice = nice;
    return 0;
}

Result<long> sys_sched_yield() {
    yield();
    return 0;
}

Result<long> sys_sched_setparam(int pid, UserIn<struct sched_param> param) {
    if (!param) return Error(EINVAL);
    TRY(check_thread(pid));
    return set_policy(static_cast<int>(scheduling().policy), TRY(param.read()).sched_priority);
}

Result<long> sys_sched_getparam(int pid, UserOut<struct sched_param> param) {
    if (!param) return Error(EINVAL);
    TRY(check_thread(pid));
    TRY(param.write({scheduling().priority}));
    return 0;
}

Result<long> sys_sched_setscheduler(int pid, int policy, UserIn<struct sched_param> param) {
    if (policy < 0 || !param) return Error(EINVAL);
    if (pid < 0) return Error(EINVAL);
    const int priority = TRY(param.read()).sched_priority;
    TRY(check_thread(pid));
    return set_policy(policy, priority);
}

Result<long> sys_sched_getscheduler(int pid) {
    TRY(check_thread(pid));
    const long flag = scheduling().reset_on_fork ? kResetOnFork : 0;
    return static_cast<long>(scheduling().policy) | flag;
}

Result<long> sys_sched_get_priority_max(int policy) {
    return max_priority(TRY(to_scheduling_policy(static_cast<uint32_t>(policy))));
}

Result<long> sys_sched_get_priority_min(int policy) {
    return min_priority(TRY(to_scheduling_policy(static_cast<uint32_t>(policy))));
}

Result<long> sys_sched_rr_get_interval(int pid, UserOut<timespec> interval) {
    constexpr long kFairSliceNs = 4'000'000;
    TRY(check_thread(pid));
    timespec answer = {0, kFairSliceNs};
    if (scheduling().policy == SchedulingPolicy::kFifo) answer = {0, 0};
    if (scheduling().policy == SchedulingPolicy::kRoundRobin) {
        answer = {0, static_cast<long>(kRoundRobinIntervalNs)};
    }
    TRY(interval.write(answer));
    return 0;
}

Result<long> sys_sched_setaffinity(int pid, unsigned int size, UserIn<unsigned long> mask) {
    uint64_t wanted = 0;
    const size_t bytes = std::min<size_t>(size, sizeof(wanted));
    if (!copy_from_user(&wanted, mask.address(), bytes)) return Error(EFAULT);
    if (pid < 0) return Error(ESRCH);
    Thread* thread = TRY(find_own_thread(pid));
    if (!(wanted & online_cpus())) return Error(EINVAL);
    set_affinity(*thread, wanted & online_cpus());
    return 0;
}

Result<long> sys_sched_getaffinity(int pid, unsigned int size, UserOut<unsigned long> mask) {
    if (size == 0 || size % sizeof(unsigned long) != 0) return Error(EINVAL);
    if (pid < 0) return Error(ESRCH);
    const Thread* thread = TRY(find_own_thread(pid));
    TRY(mask.write(thread->affinity & online_cpus()));
    return sizeof(unsigned long);
}

Result<long> sys_ioprio_get(int which, int who) {
    constexpr int kBestEffort = 2, kClassShift = 13;
    if (which < 1 || which > 3) return Error(EINVAL);
    TRY(check_target(static_cast<Kind>(which - 1), who));
    if (scheduling().io_priority >> kClassShift) return scheduling().io_priority;
    return kBestEffort << kClassShift | (scheduling().nice + 20) / 5;
}

Result<long> sys_ioprio_set(int which, int who, int priority) {
    constexpr int kNone = 0, kRealtime = 1, kBestEffort = 2, kIdle = 3, kClassShift = 13;
    constexpr int kLevels = 8;
    const int data = priority & ((1 << kClassShift) - 1);
    switch (priority >> kClassShift) {
        case kRealtime:
            if (!may_raise()) return Error(EPERM);
            [[fallthrough]];
        case kBestEffort:
            if (data >= kLevels) return Error(EINVAL);
            break;
        case kIdle:
            break;
        case kNone:
            if (data) return Error(EINVAL);
            break;
        default:
            return Error(EINVAL);
    }
    if (which < 1 || which > 3) return Error(EINVAL);
    TRY(check_target(static_cast<Kind>(which - 1), who));
    scheduling().io_priority = priority;
    return 0;
}

Result<long> sys_getcpu(UserOut<unsigned int> cpu, UserOut<unsigned int> node, unsigned long) {
    if (cpu) TRY(cpu.write(current_cpu()->id));
    if (node) TRY(node.write(0));
    return 0;
}

}  // namespace coracle
