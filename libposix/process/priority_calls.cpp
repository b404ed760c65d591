// getpriority, setpriority, ioprio_get, ioprio_set: by thread, process group or user.
#include <sys/resource.h>

#include <algorithm>

#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

enum class Kind { kThread, kGroup, kUser };

Result<Kind> to_kind(int which, int first) {
    if (which < first || which > first + 2) return Error(EINVAL);
    return static_cast<Kind>(which - first);
}

// Calls visit(Thread&) -> Result<void> for all that are meant, and tells the last error; ESRCH:
// there are none. 0 is the caller, its group or its user.
template <typename Visitor>
Result<void> for_each_thread(Kind kind, int who, Visitor visit) {
    if (kind == Kind::kThread) return visit(*TRY(find_any_thread(who)));
    Process& process = *current_process();
    const uint32_t own =
        kind == Kind::kGroup ? process.process_group : process.credentials.uid;
    if (who != 0 && static_cast<uint32_t>(who) != own) return Error(ESRCH);
    Result<void> outcome;
    for (Thread& thread : process.threads) {
        auto visited = visit(thread);
        if (!visited.ok()) outcome = visited.error();
    }
    return outcome;
}

constexpr int kNone = 0, kRealtime = 1, kBestEffort = 2, kIdle = 3, kClassShift = 13;

// The class and level of a thread that has set none.
int effective_io_priority(const Scheduling& scheduling) {
    if (scheduling.io_priority >> kClassShift) return scheduling.io_priority;
    return kBestEffort << kClassShift | (scheduling.nice + 20) / 5;
}

Result<void> check_io_priority(int priority) {
    constexpr int kLevels = 8;
    const int data = priority & ((1 << kClassShift) - 1);
    switch (priority >> kClassShift) {
        case kRealtime:
            if (!may_raise_priority()) return Error(EPERM);
            [[fallthrough]];
        case kBestEffort:
            if (data >= kLevels) return Error(EINVAL);
            return {};
        case kIdle:
            return {};
        case kNone:
            if (data) return Error(EINVAL);
            return {};
        default:
            return Error(EINVAL);
    }
}

}  // namespace

Result<long> sys_getpriority(int which, int who) {
    const Kind kind = TRY(to_kind(which, PRIO_PROCESS));
    long highest = 0;
    TRY(for_each_thread(kind, who, [&](const Thread& thread) -> Result<void> {
        highest = std::max<long>(highest, kMaxNice + 1 - thread.state->scheduling.nice);
        return {};
    }));
    return highest;
}

Result<long> sys_setpriority(int which, int who, int priority) {
    const Kind kind = TRY(to_kind(which, PRIO_PROCESS));
    const int nice = std::clamp(priority, kMinNice, kMaxNice);
    TRY(for_each_thread(kind, who, [&](Thread& thread) -> Result<void> {
        TRY(check_may_schedule(thread));
        if (!may_set_nice(thread, nice)) return Error(EACCES);
        thread.state->scheduling.nice = nice;
        apply_scheduling(thread);
        return {};
    }));
    return 0;
}

Result<long> sys_ioprio_get(int which, int who) {
    const Kind kind = TRY(to_kind(which, 1));
    int best = kIdle << kClassShift;  // lower is better
    TRY(for_each_thread(kind, who, [&](const Thread& thread) -> Result<void> {
        best = std::min(best, effective_io_priority(thread.state->scheduling));
        return {};
    }));
    return best;
}

Result<long> sys_ioprio_set(int which, int who, int priority) {
    TRY(check_io_priority(priority));
    const Kind kind = TRY(to_kind(which, 1));
    TRY(for_each_thread(kind, who, [&](Thread& thread) -> Result<void> {
        TRY(check_may_schedule(thread));
        thread.state->scheduling.io_priority = priority;
        return {};
    }));
    return 0;
}

}  // namespace coracle
