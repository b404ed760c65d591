// nanosleep, clock_nanosleep.
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/wait.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/clock_ids.h"
#include "libposix/time/clock_timer.h"
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

// On CPU time, which others use up meanwhile.
Result<long> sleep_until_cpu_time(int clock_id, const TimerClock& clock, uint64_t expiry_ns,
                                  bool is_absolute, uint64_t remain_address);

Result<long> continue_cpu_sleep(RestartBlock& block) {
    const auto clock_id = static_cast<int>(block.arguments[0]);
    const TimerClock clock = TRY(timer_clock(clock_id));
    return sleep_until_cpu_time(clock_id, clock, block.arguments[1], false, block.arguments[2]);
}

Result<long> sleep_until_cpu_time(int clock_id, const TimerClock& clock, uint64_t expiry_ns,
                                  bool is_absolute, uint64_t remain_address) {
    struct Sleep {
        static void end(void* context) {
            auto* sleep = static_cast<Sleep*>(context);
            sleep->is_over = true;
            sleep->waiters.wake_all();
        }
        bool is_over = false;
        WaitQueue waiters;
    } sleep;
    ClockTimer timer(Sleep::end, &sleep);
    timer.start(clock, expiry_ns);
    const auto waited = wait_until(sleep.waiters, Deadline::never(), [&] { return sleep.is_over; });
    timer.cancel();
    if (waited.ok()) return 0;
    if (is_absolute) return Error(kErestartnohand);

    const uint64_t now = clock.now();
    const UserOut<timespec> remain(remain_address);
    if (remain) TRY(remain.write(to_timespec(expiry_ns > now ? expiry_ns - now : 0)));
    RestartBlock& block = current_thread()->state->signals.restart_block;
    block.arguments[0] = static_cast<uint64_t>(clock_id);
    block.arguments[1] = expiry_ns;
    block.arguments[2] = remain_address;
    return block.set(continue_cpu_sleep);
}

}  // namespace

Result<long> sys_nanosleep(UserIn<timespec> request, UserOut<timespec> remain) {
    const timespec wanted = TRY(request.read());
    if (!is_valid(wanted)) return Error(EINVAL);
    return sleep_for(wanted, remain);
}

Result<long> sys_clock_nanosleep(int clock, int flags, UserIn<timespec> request,
                                 UserOut<timespec> remain) {
    // A thread that sleeps uses no CPU time.
    if (clock == CLOCK_THREAD_CPUTIME_ID) return Error(EOPNOTSUPP);
    const TimerClock sleep_clock = TRY(timer_clock(clock));
    const timespec wanted = TRY(request.read());
    if (!is_valid(wanted)) return Error(EINVAL);
    if (sleep_clock.kind == TimerClock::Kind::kThreadTime &&
        sleep_clock.tid == current_thread()->tid) {
        return Error(EINVAL);
    }
    const uint64_t time_ns = to_ns(wanted);
    const bool is_absolute = flags & TIMER_ABSTIME;
    if (sleep_clock.is_cpu_time()) {
        const uint64_t start = is_absolute ? 0 : sleep_clock.now();
        return sleep_until_cpu_time(clock, sleep_clock, start + time_ns, is_absolute,
                                    remain.address());
    }
    if (!is_absolute) return sleep_for(wanted, remain);
    if (sleep_clock.kind == TimerClock::Kind::kRealtime) return sleep_until_realtime(time_ns);
    return sleep_until_absolute(time_ns);
}

}  // namespace coracle
