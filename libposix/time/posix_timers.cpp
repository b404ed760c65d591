#include "libposix/time/posix_timers.h"

#include <climits>
#include <new>

#include "libposix/process/threads.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

constexpr int64_t kMostOverruns = INT_MAX;  // DELAYTIMER_MAX

int to_count(int64_t overruns) {
    return static_cast<int>(overruns < kMostOverruns ? overruns : kMostOverruns);
}

constexpr uint64_t saturating_add(uint64_t a, uint64_t b) {
    constexpr uint64_t kEnd = INT64_MAX;
    return b > kEnd || a > kEnd - b ? kEnd : a + b;
}

}  // namespace

PosixTimer::PosixTimer(Process& process, int id, const TimerClock& clock, const TimerNotice& notice)
    : process_(process), id_(id), own_clock_(clock), notice_(notice), clock_(clock),
      timer_(expire, this) {}

void PosixTimer::set(const Setting& setting, bool is_absolute) {
    timer_.cancel();
    goes_on_when_taken_ = false;
    overrun_ = -1;
    last_overrun_ = 0;
    interval_ns_ = 0;
    expiry_ns_ = 0;
    if (setting.value_ns == 0) return;

    clock_ = own_clock_;
    if (!is_absolute && clock_.kind == TimerClock::Kind::kRealtime) clock_ = TimerClock{};
    interval_ns_ = setting.interval_ns;
    expiry_ns_ = setting.value_ns;
    if (!is_absolute) expiry_ns_ = saturating_add(clock_.now(), expiry_ns_);
    if (!notice_.is_silent) timer_.start(clock_, expiry_ns_);
}

PosixTimer::Setting PosixTimer::get() {
    if (expiry_ns_ == 0) return {};
    const bool is_over = !timer_.is_active() && !notice_.is_silent;
    if (interval_ns_ == 0 && is_over) return {};
    if (interval_ns_ && (goes_on_when_taken_ || notice_.is_silent)) forward();
    Setting setting{.interval_ns = interval_ns_};
    const uint64_t now = clock_.now();
    if (expiry_ns_ > now) {
        setting.value_ns = expiry_ns_ - now;
    } else if (!notice_.is_silent) {
        setting.value_ns = 1;  // due: not to look as if it were off
    }
    return setting;
}

int PosixTimer::last_overrun() const { return to_count(last_overrun_); }

void PosixTimer::forward() {
    const uint64_t now = clock_.now();
    if (now < expiry_ns_) return;
    const uint64_t count = (now - expiry_ns_) / interval_ns_ + 1;
    expiry_ns_ = saturating_add(expiry_ns_, count * interval_ns_);
    overrun_ += static_cast<int64_t>(count);
}

void PosixTimer::expire(void* self) { static_cast<PosixTimer*>(self)->send(); }

void PosixTimer::send() {
    if (is_queued()) {  // of an earlier setting
        info().timer.overrun++;
        goes_on_when_taken_ = interval_ns_ != 0;
        return;
    }
    info() = SignalInfo{};
    info().signo = notice_.signo;
    info().code = kSiTimer;
    info().timer.id = id_;
    info().timer.value = notice_.value.value_or(static_cast<uint64_t>(id_));
    Thread* thread = notice_.tid ? find_thread(notice_.tid) : nullptr;
    const bool has_gone = notice_.tid && (!thread || thread->process != &process_);
    if (!has_gone && send_timer_signal(process_, thread, *this)) {
        goes_on_when_taken_ = interval_ns_ != 0;
    } else if (interval_ns_) {
        // Nobody will take it. That may change, if it is only ignored.
        forward();
        timer_.start(clock_, expiry_ns_);
    }
}

void PosixTimer::on_taken(SignalInfo& info) {
    if (!goes_on_when_taken_) return;
    goes_on_when_taken_ = false;
    forward();
    last_overrun_ = overrun_;
    overrun_ = -1;
    info.timer.overrun = to_count(last_overrun_ + info.timer.overrun);
    timer_.start(clock_, expiry_ns_);
}

Result<PosixTimer*> PosixTimers::create(const TimerClock& clock, const TimerNotice& notice) {
    auto* timer = new (std::nothrow) PosixTimer(process_, next_id_, clock, notice);
    if (!timer) return Error(EAGAIN);
    const auto reserved = timer->reserve(signal_quota(process_));
    if (!reserved) {
        delete timer;
        return reserved.error();
    }
    next_id_ = next_id_ == INT_MAX ? 0 : next_id_ + 1;
    while (find(next_id_)) next_id_++;
    timers_.insert(*timer);
    return timer;
}

PosixTimer* PosixTimers::find(int id) {
    const auto found = timers_.find(id, [](const auto& a, const auto& b) {
        struct Key {
            int value;
            Key(int id_in) : value(id_in) {}
            Key(const PosixTimer& timer) : value(timer.id()) {}
        };
        return Key(a).value < Key(b).value;
    });
    return found == timers_.end() ? nullptr : &*found;
}

void PosixTimers::remove(PosixTimer& timer) {
    timers_.erase(timers_.iterator_to(timer));
    delete &timer;
}

void PosixTimers::remove_all() {
    while (!timers_.empty()) remove(*timers_.begin());
}

}  // namespace coracle
