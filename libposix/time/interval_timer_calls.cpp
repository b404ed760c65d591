// setitimer, getitimer, alarm.
#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

itimerval to_itimerval(const IntervalTimers::Setting& setting) {
    return {to_timeval(setting.interval_ns), to_timeval(setting.value_ns)};
}

Result<IntervalTimer> checked_timer(int which) {
    if (which < 0 || static_cast<unsigned>(which) >= kIntervalTimerCount) return Error(EINVAL);
    return static_cast<IntervalTimer>(which);
}

}  // namespace

Result<long> sys_getitimer(int which, UserOut<itimerval> value) {
    const IntervalTimer timer = TRY(checked_timer(which));
    TRY(value.write(to_itimerval(current_process()->interval_timers.get(timer))));
    return 0;
}

Result<long> sys_setitimer(int which, UserIn<itimerval> value, UserOut<itimerval> old) {
    IntervalTimers::Setting setting;
    if (value) {  // without: the timer is stopped, as Linux does for old programs
        const itimerval wanted = TRY(value.read());
        if (!is_valid(wanted.it_value) || !is_valid(wanted.it_interval)) return Error(EINVAL);
        setting.value_ns = to_ns(wanted.it_value);
        setting.interval_ns = to_ns(wanted.it_interval);
    }
    const IntervalTimer timer = TRY(checked_timer(which));
    IntervalTimers& timers = current_process()->interval_timers;
    const itimerval previous = to_itimerval(timers.get(timer));
    timers.set(timer, setting);
    if (old) TRY(old.write(previous));
    return 0;
}

Result<long> sys_alarm(unsigned int seconds) {
    IntervalTimers& timers = current_process()->interval_timers;
    const uint64_t rest_ns = timers.get(IntervalTimer::kReal).value_ns;
    timers.set(IntervalTimer::kReal, {seconds * kNsPerSecond, 0});
    // To the nearest second, but 0 tells that there was no alarm.
    const uint64_t rounded = (rest_ns + kNsPerSecond / 2) / kNsPerSecond;
    return static_cast<long>(rest_ns != 0 && rounded == 0 ? 1 : rounded);
}

}  // namespace coracle
