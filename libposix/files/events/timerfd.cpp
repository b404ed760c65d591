// timerfd_create, timerfd_settime, timerfd_gettime (man 2 timerfd_create): timers as files.
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#include <algorithm>

#include "libposix/files/events/anonymous_file.h"
#include "libposix/fs/pseudo/text_buffer.h"
#include "libposix/time/clock.h"
#include "libposix/time/clock_timer.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint64_t kMaxNs = INT64_MAX;                  // KTIME_MAX
constexpr uint32_t kSetTicks = _IOW('T', 0, uint64_t);  // TFD_IOC_SET_TICKS

uint64_t add_time(uint64_t a, uint64_t b) {
    return std::min(a + b, kMaxNs);
}

// The first expiration wakes; further ones are counted only when somebody looks, from the time
// that has passed. So intervals never drift, and a timer that nobody reads costs nothing.
class TimerFile final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kTimerFd;

    TimerFile(const Path& path, RefPtr<Inode> inode, uint32_t flags, int clock)
        : AnonymousFile(path, std::move(inode), flags), clock_(clock) {
        kind_ = kKind;
    }

    // The time left (0: it does not run) and the interval.
    struct Setting {
        uint64_t value_ns, interval_ns;
    };
    // Switches it off with a value of 0. `flags`: TFD_TIMER_*. ECANCELED, though it runs then: the
    // wall clock had been set before.
    Result<void> set(Setting setting, int flags) {
        timer_.cancel();
        wall_clock_step_.unlink();
        settime_flags_ = flags;
        const bool is_realtime = is_wall_clock() && (flags & TFD_TIMER_ABSTIME);
        runs_on_.kind = is_realtime ? TimerClock::Kind::kRealtime : TimerClock::Kind::kMonotonic;
        tells_steps_ = is_realtime && (flags & TFD_TIMER_CANCEL_ON_SET);
        if (tells_steps_) wall_clock_changes().add(wall_clock_step_);
        ticks_ = 0;
        has_expired_ = false;
        interval_ns_ = setting.interval_ns;
        expiry_ns_ = setting.value_ns;
        if (setting.value_ns == 0) return {};
        if (!(flags & TFD_TIMER_ABSTIME)) expiry_ns_ = add_time(runs_on_.now(), setting.value_ns);
        timer_.start(runs_on_, expiry_ns_);
        if (take_cancellation()) return Error(ECANCELED);
        return {};
    }
    Setting get() {
        if (has_expired_ && interval_ns_ != 0) ticks_ += pass_expirations() - 1;
        const uint64_t time = runs_on_.now();
        const bool runs = timer_.is_active() && expiry_ns_ > time;
        return {runs ? expiry_ns_ - time : 0, interval_ns_};
    }

    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        if (to.size() < sizeof(ticks_)) return Error(EINVAL);
        if (ticks_ == 0) {
            if (is_nonblocking()) return Error(EAGAIN);
            TRY(wait_until(expired_, Deadline::never(), [&] { return ticks_ != 0; }));
        }
        uint64_t ticks = ticks_;
        ticks_ = 0;
        if (take_cancellation()) {
            has_expired_ = false;
            return Error(ECANCELED);
        }
        if (has_expired_ && interval_ns_ != 0) ticks += pass_expirations() - 1;
        has_expired_ = false;
        if (to.copy_out(&ticks, sizeof(ticks)) != sizeof(ticks)) return Error(EFAULT);
        return sizeof(ticks);
    }

    Result<long> ioctl(uint32_t command, uint64_t argument) override {
        if (command != kSetTicks) return Error(ENOTTY);
        uint64_t ticks = TRY(UserIn<uint64_t>(argument).read());
        if (ticks == 0) return Error(EINVAL);
        if (take_cancellation()) return Error(ECANCELED);
        ticks_ = ticks;
        expired_.wake_one(POLLIN);
        return 0;
    }

    uint32_t poll_events() override { return ticks_ != 0 ? POLLIN : 0; }
    WaitQueue* wait_queue() override { return &expired_; }

    void describe_state(TextBuffer& to) override {
        Setting left = get();
        timespec value = to_timespec(left.value_ns), interval = to_timespec(left.interval_ns);
        to.print("clockid: %d\nticks: %lu\nsettime flags: 0%d\n", clock_, ticks_, settime_flags_);
        to.print("it_value: (%ld, %ld)\nit_interval: (%ld, %ld)\n", value.tv_sec, value.tv_nsec,
                 interval.tv_sec, interval.tv_nsec);
    }

  private:
    bool is_wall_clock() const {
        return clock_ == CLOCK_REALTIME || clock_ == CLOCK_REALTIME_ALARM;
    }

    static void on_timer(void* context) {
        auto& file = *static_cast<TimerFile*>(context);
        file.has_expired_ = true;
        file.ticks_++;
        file.expired_.wake_one(POLLIN);
    }
    // How often it has expired by now, once at least; goes on to the next time.
    // Precondition: has_expired_, and there is an interval.
    uint64_t pass_expirations() {
        uint64_t count = (std::max(runs_on_.now(), expiry_ns_) - expiry_ns_) / interval_ns_ + 1;
        expiry_ns_ = add_time(expiry_ns_, count * interval_ns_);
        has_expired_ = false;
        timer_.start(runs_on_, expiry_ns_);
        return count;
    }

    struct WallClockStep : WaitEntry {
        explicit WallClockStep(TimerFile& owner) : WaitEntry(on_step), file(owner) {}
        TimerFile& file;
    };
    static bool on_step(WaitEntry& entry, uint32_t) {
        TimerFile& file = static_cast<WallClockStep&>(entry).file;
        file.is_canceled_ = true;
        file.ticks_++;
        file.expired_.wake_one(POLLIN);
        return true;
    }
    bool take_cancellation() { return tells_steps_ && std::exchange(is_canceled_, false); }

    const int clock_;
    int settime_flags_ = 0;
    TimerClock runs_on_;        // the wall clock only for absolute times
    bool tells_steps_ = false;  // TFD_TIMER_CANCEL_ON_SET
    bool is_canceled_ = false;  // the wall clock was set, and nobody has been told
    bool has_expired_ = false;  // and no further expirations have been counted
    uint64_t ticks_ = 0;        // expirations that nobody has read
    uint64_t expiry_ns_ = 0, interval_ns_ = 0;
    WaitQueue expired_;
    ClockTimer timer_{on_timer, this};
    WallClockStep wall_clock_step_{*this};
};

itimerspec to_itimerspec(const TimerFile::Setting& setting) {
    return {to_timespec(setting.interval_ns), to_timespec(setting.value_ns)};
}

}  // namespace

Result<long> sys_timerfd_create(int clock, int flags) {
    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK)) return Error(EINVAL);
    switch (clock) {
        case CLOCK_REALTIME:
        case CLOCK_MONOTONIC:
        case CLOCK_BOOTTIME:
            break;
        case CLOCK_REALTIME_ALARM:
        case CLOCK_BOOTTIME_ALARM:
            if (!current_credentials().has_capability(kCapWakeAlarm)) return Error(EPERM);
            break;
        default:
            return Error(EINVAL);
    }
    return open_event_file<TimerFile>("[timerfd]", static_cast<uint32_t>(flags) | O_RDWR, clock);
}

Result<long> sys_timerfd_settime(int fd, int flags, UserIn<itimerspec> value,
                                 UserOut<itimerspec> old) {
    const itimerspec wanted = TRY(value.read());
    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) return Error(EINVAL);
    if (!is_valid(wanted.it_value) || !is_valid(wanted.it_interval)) return Error(EINVAL);
    RefPtr<TimerFile> file = TRY(get_event_file<TimerFile>(fd));
    const TimerFile::Setting before = file->get();
    TRY(file->set({to_ns(wanted.it_value), to_ns(wanted.it_interval)}, flags));
    if (old) TRY(old.write(to_itimerspec(before)));
    return 0;
}

Result<long> sys_timerfd_gettime(int fd, UserOut<itimerspec> value) {
    RefPtr<TimerFile> file = TRY(get_event_file<TimerFile>(fd));
    TRY(value.write(to_itimerspec(file->get())));
    return 0;
}

}  // namespace coracle
