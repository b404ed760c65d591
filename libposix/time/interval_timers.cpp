#include "libposix/time/interval_timers.h"

#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/time/clock.h"
#include "libposix/time/cpu_time.h"

namespace coracle {

uint64_t IntervalTimers::clock_ns(IntervalTimer which) {
    return which == IntervalTimer::kReal ? monotonic_ns() : process_cpu_time_ns(*current_process());
}

// CPU time passes no quicker than time, so the earliest moment is the one to look again.
void IntervalTimers::arm(Slot& slot) {
    const uint64_t now = clock_ns(slot.which);
    const uint64_t rest = slot.expiry_ns > now ? slot.expiry_ns - now : 0;
    const uint64_t moment = monotonic_ns();
    slot.timer.start(rest > UINT64_MAX - moment ? UINT64_MAX : moment + rest);
}

void IntervalTimers::expire(void* context) {
    Slot& slot = *static_cast<Slot*>(context);
    const uint64_t now = clock_ns(slot.which);
    if (now < slot.expiry_ns) return arm(slot);

    constexpr int kSignals[kIntervalTimerCount] = {kSigAlrm, kSigVtalrm, kSigProf};
    send_kernel_signal(slot.owner->process_, kSignals[static_cast<unsigned>(slot.which)]);
    if (slot.interval_ns == 0) {
        slot.expiry_ns = 0;
        return;
    }
    // Expirations that nobody could see are one.
    slot.expiry_ns += ((now - slot.expiry_ns) / slot.interval_ns + 1) * slot.interval_ns;
    arm(slot);
}

IntervalTimers::Setting IntervalTimers::get(IntervalTimer which) const {
    const Slot& timer = slot(which);
    Setting setting;
    setting.interval_ns = timer.interval_ns;
    if (timer.expiry_ns == 0) return setting;
    // One that is due but has not fired is not to look as if it were off.
    const uint64_t now = clock_ns(which);
    setting.value_ns =
        timer.expiry_ns > now + kNsPerMicrosecond ? timer.expiry_ns - now : kNsPerMicrosecond;
    return setting;
}

void IntervalTimers::set(IntervalTimer which, Setting setting) {
    Slot& timer = slot(which);
    timer.timer.cancel();
    timer.interval_ns = setting.interval_ns;
    timer.expiry_ns = 0;
    if (setting.value_ns == 0) return;
    timer.expiry_ns = clock_ns(which) + setting.value_ns;
    arm(timer);
}

}  // namespace coracle
