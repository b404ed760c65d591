// adjtimex, clock_adjtime.
#include <sys/timex.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/clock_ids.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// Linux's values for a clock that nobody keeps in step (kernel/time/ntp.c, ntp_clear()).
constexpr long kMaxError = 16'000'000, kTolerance = 500 << 16, kTick = 10'000;

Result<void> step_by(const struct timex& request) {
    const uint64_t unit = request.modes & ADJ_NANO ? 1 : kNsPerMicrosecond;
    const long fraction = request.time.tv_usec;
    if (fraction < 0 || static_cast<uint64_t>(fraction) * unit >= kNsPerSecond) {
        return Error(EINVAL);
    }
    const auto step = static_cast<__int128>(request.time.tv_sec) * kNsPerSecond +
                      static_cast<uint64_t>(fraction) * unit;
    const __int128 wanted = static_cast<__int128>(realtime_ns()) + step;
    if (wanted < static_cast<__int128>(monotonic_ns()) || wanted > INT64_MAX) return Error(EINVAL);
    set_realtime(static_cast<uint64_t>(wanted));
    return {};
}

// The clock can be read and stepped, but not slewed.
Result<long> adjust(UserInOut<struct timex> buffer) {
    struct timex state = TRY(buffer.read());
    constexpr unsigned kSingleShotRead = ADJ_OFFSET_SS_READ;
    if (state.modes != 0 && state.modes != kSingleShotRead) {
        if (!current_credentials().has_capability(kCapSysTime)) return Error(EPERM);
        if ((state.modes & ~static_cast<unsigned>(ADJ_NANO)) != ADJ_SETOFFSET) return Error(EPERM);
        TRY(step_by(state));
    }
    const unsigned modes = state.modes;
    state = {};
    state.modes = modes;
    state.maxerror = state.esterror = kMaxError;
    state.status = STA_UNSYNC;
    state.constant = 2;
    state.precision = 1;
    state.tolerance = kTolerance;
    state.tick = kTick;
    state.time = to_timeval(realtime_ns());
    TRY(buffer.write(state));
    return TIME_ERROR;
}

}  // namespace

Result<long> sys_adjtimex(UserInOut<struct timex> buffer) { return adjust(buffer); }

Result<long> sys_clock_adjtime(int clock, UserInOut<struct timex> buffer) {
    TRY(clock_now(clock));  // EINVAL
    if (clock != CLOCK_REALTIME) return Error(EOPNOTSUPP);
    return adjust(buffer);
}

}  // namespace coracle
