// clock_gettime, clock_getres, clock_settime, gettimeofday, settimeofday, time.
#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/clock_ids.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint64_t kTickNs = 4'000'000;  // what the coarse clocks of Linux with HZ=250 show

// Of the CPU clocks: Linux counts user and system time by ticks, and exactly only their sum.
bool is_tick_clock(int clock) {
    constexpr int kKindMask = 3, kExact = 2;
    return (clock & kKindMask) != kExact;
}

struct timezone system_timezone;

// EPERM, or EINVAL for a time that would put the boot before 1970.
Result<void> set_wall_clock(uint64_t ns) {
    if (!current_credentials().has_capability(kCapSysTime)) return Error(EPERM);
    if (ns < monotonic_ns()) return Error(EINVAL);
    set_realtime(ns);
    return {};
}

}  // namespace

Result<long> sys_clock_gettime(int clock, UserOut<timespec> time) {
    TRY(time.write(to_timespec(TRY(clock_now(clock)))));
    return 0;
}

Result<long> sys_clock_getres(int clock, UserOut<timespec> resolution) {
    TRY(clock_now(clock));  // EINVAL
    const bool is_coarse = clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ||
                           (is_cpu_clock_of_id(clock) && is_tick_clock(clock));
    if (resolution) TRY(resolution.write(to_timespec(is_coarse ? kTickNs : 1)));
    return 0;
}

Result<long> sys_clock_settime(int clock, UserIn<timespec> time) {
    TRY(clock_now(clock));  // EINVAL
    if (clock != CLOCK_REALTIME && !is_cpu_clock_of_id(clock)) return Error(EINVAL);
    const timespec wanted = TRY(time.read());
    if (is_cpu_clock_of_id(clock)) return Error(EPERM);
    if (!is_valid(wanted)) return Error(EINVAL);
    TRY(set_wall_clock(to_ns(wanted)));
    return 0;
}

Result<long> sys_gettimeofday(UserOut<timeval> time, UserOut<struct timezone> zone) {
    if (time) TRY(time.write(to_timeval(realtime_ns())));
    if (zone) TRY(zone.write(system_timezone));
    return 0;
}

Result<long> sys_settimeofday(UserIn<timeval> time, UserIn<struct timezone> zone) {
    constexpr int kMaxMinutesWest = 15 * 60;
    timeval wanted{};
    if (time) {
        wanted = TRY(time.read());
        if (!is_valid(wanted)) return Error(EINVAL);
    }
    struct timezone wanted_zone{};
    if (zone) wanted_zone = TRY(zone.read());
    if (!current_credentials().has_capability(kCapSysTime)) return Error(EPERM);
    if (zone) {
        const int west = wanted_zone.tz_minuteswest;
        if (west > kMaxMinutesWest || west < -kMaxMinutesWest) return Error(EINVAL);
        system_timezone = wanted_zone;
    }
    if (time) TRY(set_wall_clock(to_ns(wanted)));
    return 0;
}

Result<long> sys_time(UserOut<long> time) {
    const auto seconds = static_cast<long>(realtime_ns() / kNsPerSecond);
    if (time) TRY(time.write(seconds));
    return seconds;
}

}  // namespace coracle
