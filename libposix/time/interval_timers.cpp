#include "libposix/time/interval_timers.h"

#include <algorithm>

#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/time/clock.h"

namespace coracle {
namespace {

// A profiler wants to see who uses the time. Where several do, each CPU has its turn.
Thread* working_thread(const Process& process) {
    static unsigned turn = 0;
    for (unsigned i = 0; i < cpu_count; i++) {
        Thread* thread = cpus[turn++ % cpu_count]->current;
        const bool is_running = thread->run_state == RunState::kRunning;
        if (is_running && thread->process == &process) return thread;
    }
    return nullptr;
}

}  // namespace

TimerClock IntervalTimers::clock(IntervalTimer which) const {
    if (which == IntervalTimer::kReal) return {};
    return {TimerClock::Kind::kProcessTime, &process_};
}

void IntervalTimers::expire(void* context) {
    Slot& slot = *static_cast<Slot*>(context);
    IntervalTimers& timers = *slot.owner;
    const TimerClock clock = timers.clock(slot.which);
    constexpr int kSignals[kIntervalTimerCount] = {kSigAlrm, kSigVtalrm, kSigProf};
    send_kernel_signal(timers.process_, kSignals[static_cast<unsigned>(slot.which)],
                       clock.is_cpu_time() ? working_thread(timers.process_) : nullptr);
    if (slot.interval_ns == 0) {
        slot.expiry_ns = 0;
        return;
    }
    // Expirations that nobody could see are one.
    const uint64_t late = clock.now() - slot.expiry_ns;
    slot.expiry_ns += (late / slot.interval_ns + 1) * slot.interval_ns;
    slot.timer.start(clock, slot.expiry_ns);
}

IntervalTimers::Setting IntervalTimers::get(IntervalTimer which) const {
    const Slot& timer = slot(which);
    Setting setting;
    setting.interval_ns = timer.interval_ns;
    if (timer.expiry_ns == 0) return setting;
    // One that is due but has not fired is not to look as if it were off.
    const uint64_t now = clock(which).now();
    const uint64_t rest = timer.expiry_ns > now ? timer.expiry_ns - now : 0;
    setting.value_ns = std::max(rest, kNsPerMicrosecond);
    return setting;
}

void IntervalTimers::set(IntervalTimer which, Setting setting) {
    Slot& timer = slot(which);
    timer.timer.cancel();
    timer.interval_ns = setting.interval_ns;
    timer.expiry_ns = 0;
    if (setting.value_ns == 0) return;
    timer.expiry_ns = clock(which).now() + setting.value_ns;
    timer.timer.start(clock(which), timer.expiry_ns);
}

}  // namespace coracle
