// timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete.
#include <signal.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/threads.h"
#include "libposix/time/clock.h"
#include "libposix/time/clock_ids.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// struct sigevent, as the kernel reads it.
struct SignalEvent {
    uint64_t value;
    int32_t signo;
    int32_t notify;
    int32_t tid;
    int32_t padding[11];
};
static_assert(sizeof(SignalEvent) == 64);

Result<TimerNotice> to_notice(const SignalEvent& event) {
    TimerNotice notice{.signo = event.signo, .value = event.value};
    switch (event.notify) {
        case SIGEV_NONE:
            notice.is_silent = true;
            return notice;
        case SIGEV_SIGNAL | SIGEV_THREAD_ID:
            notice.tid = static_cast<uint32_t>(event.tid);
            if (!notice.tid || !find_own_thread(event.tid)) return Error(EINVAL);
            break;
        case SIGEV_SIGNAL:
        case SIGEV_THREAD:
            break;
        default:
            return Error(EINVAL);
    }
    if (!is_valid_signal(event.signo)) return Error(EINVAL);
    return notice;
}

Result<PosixTimer*> find_timer(int id) {
    PosixTimer* timer = current_process()->posix_timers.find(id);
    if (!timer) return Error(EINVAL);
    return timer;
}

itimerspec to_itimerspec(const PosixTimer::Setting& setting) {
    return {to_timespec(setting.interval_ns), to_timespec(setting.value_ns)};
}

}  // namespace

Result<long> sys_timer_create(int clock, UserIn<struct sigevent> event, UserOut<int> id) {
    TimerNotice notice{.signo = kSigAlrm};
    SignalEvent wanted{};
    if (event) wanted = TRY(UserIn<SignalEvent>(event.address()).read());
    const TimerClock timer_on = TRY(timer_clock(clock));
    if (event) notice = TRY(to_notice(wanted));
    PosixTimers& timers = current_process()->posix_timers;
    PosixTimer* timer = TRY(timers.create(timer_on, notice));
    const int new_id = timer->id();
    const auto written = id.write(new_id);  // may sleep: another thread may delete the timer
    if (written) return 0;
    if (PosixTimer* unwanted = timers.find(new_id)) timers.remove(*unwanted);
    return written.error();
}

Result<long> sys_timer_settime(int id, int flags, UserIn<struct itimerspec> value,
                               UserOut<struct itimerspec> old) {
    if (!value) return Error(EINVAL);
    const itimerspec wanted = TRY(value.read());
    if (!is_valid(wanted.it_value) || !is_valid(wanted.it_interval)) return Error(EINVAL);
    PosixTimer* timer = TRY(find_timer(id));
    const itimerspec previous = to_itimerspec(timer->get());
    timer->set({to_ns(wanted.it_value), to_ns(wanted.it_interval)}, flags & TIMER_ABSTIME);
    if (old) TRY(old.write(previous));
    return 0;
}

Result<long> sys_timer_gettime(int id, UserOut<struct itimerspec> value) {
    PosixTimer* timer = TRY(find_timer(id));
    TRY(value.write(to_itimerspec(timer->get())));
    return 0;
}

Result<long> sys_timer_getoverrun(int id) { return TRY(find_timer(id))->last_overrun(); }

Result<long> sys_timer_delete(int id) {
    PosixTimer* timer = TRY(find_timer(id));
    current_process()->posix_timers.remove(*timer);
    return 0;
}

}  // namespace coracle
