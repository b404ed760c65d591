// nanosleep, clock_nanosleep.
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/wait.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/clock_ids.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// A sleep for some time, whatever happens to the wall clock. A handler ends it with EINTR and the
// rest in `remain`; anything else that interrupts lets it go on until the same moment.
Result<long> sleep_until_monotonic(uint64_t deadline_ns, uint64_t remain_address);

Result<long> continue_sleep(RestartBlock& block) {
    return sleep_until_monotonic(block.arguments[0], block.arguments[1]);
}

Result<long> sleep_until_monotonic(uint64_t deadline_ns, uint64_t remain_address) {
    WaitQueue nobody;
    const auto waited = wait_until(nobody, Deadline{deadline_ns}, [] { return false; });
    if (waited.error_code() == ETIMEDOUT) return 0;
    const uint64_t now = monotonic_ns();
    if (now >= deadline_ns) return 0;
    const UserOut<timespec> remain(remain_address);
    if (remain) TRY(remain.write(to_timespec(deadline_ns - now)));
    RestartBlock& block = current_thread()->state->signals.restart_block;
    block.arguments[0] = deadline_ns;
    block.arguments[1] = remain_address;
    return block.set(continue_sleep);
}

Result<long> sleep_for(const timespec& request, UserOut<timespec> remain) {
    return sleep_until_monotonic(Deadline::after(to_ns(request)).monotonic_ns, remain.address());
}

// To a moment, which the call names again when it is restarted.
Result<long> answer_absolute(const Result<void>& waited) {
    if (waited.ok() || waited.error_code() == ETIMEDOUT) return 0;
    return Error(kErestartnohand);
}

Result<long> sleep_until_absolute(uint64_t deadline_ns) {
    WaitQueue nobody;
    return answer_absolute(wait_until(nobody, Deadline{deadline_ns}, [] { return false; }));
}

// A step of the wall clock moves the end of the sleep.
Result<long> sleep_until_realtime(uint64_t deadline_ns) {
    for (;;) {
        const uint64_t offset = realtime_ns() - monotonic_ns();
        const uint64_t monotonic_end = deadline_ns > offset ? deadline_ns - offset : 0;
        const uint64_t steps = wall_clock_steps();
        const auto waited = wait_until(wall_clock_changes(), Deadline{monotonic_end},
                                       [&] { return wall_clock_steps() != steps; });
        if (waited.ok() && realtime_ns() < deadline_ns) continue;
        return answer_absolute(waited);
    }
}

}  // namespace

Result<long> sys_nanosleep(UserIn<timespec> request, UserOut<timespec> remain) {
    const timespec wanted = TRY(request.read());
    if (!is_valid(wanted)) return Error(EINVAL);
    return sleep_for(wanted, remain);
}

Result<long> sys_clock_nanosleep(int clock, int flags, UserIn<timespec> request,
                                 UserOut<timespec> remain) {
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_TAI:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
            break;
        case CLOCK_MONOTONIC_RAW:
        case CLOCK_MONOTONIC_COARSE:
        case CLOCK_REALTIME_COARSE:
        case CLOCK_REALTIME_ALARM:
        case CLOCK_BOOTTIME_ALARM:
        case CLOCK_THREAD_CPUTIME_ID:
            return Error(EOPNOTSUPP);
        default:
            // The CPU clocks stand still while their only thread sleeps.
            TRY(clock_now(clock));
            return Error(EOPNOTSUPP);
    }
    const timespec wanted = TRY(request.read());
    if (!is_valid(wanted)) return Error(EINVAL);
    if (!(flags & TIMER_ABSTIME)) return sleep_for(wanted, remain);
    if (clock == CLOCK_REALTIME || clock == CLOCK_TAI) return sleep_until_realtime(to_ns(wanted));
    return sleep_until_absolute(to_ns(wanted));
}

}  // namespace coracle
