// How the libc image's locks put threads to sleep (libposix/libc/threads): a thread parks until
// another one unparks it by its number. An unpark that comes before the park makes it return at
// once, and one too many does no harm: callers look for what they wait for, and park again.
#include "libposix/process/futex.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

[[gnu::always_inline]] inline Result<long> park(FutexLimit limit) {
    bool& is_unparked = current_thread()->state->is_unparked;
    const auto slept = sleep_until_set(is_unparked, limit);
    if (!slept.ok()) return slept.error_code() == kErestartsys ? Error(EINTR) : slept.error();
    is_unparked = false;
    return 0;
}

}  // namespace

// `deadline` is a moment of CLOCK_REALTIME or CLOCK_MONOTONIC, or null. ETIMEDOUT, EFAULT, EINVAL,
// and EINTR after any handler: these calls have no number by which they could be restarted.
Result<long> sys_thread_park(int clock, UserIn<timespec> deadline) {
    if (deadline.address() == 0) return park({});
    const timespec time = TRY(deadline.read());
    if (!is_valid(time)) return Error(EINVAL);
    return park({to_ns(time), clock == CLOCK_REALTIME});
}

// ESRCH: the process has no such thread.
Result<long> sys_thread_unpark(int tid) {
    Thread& thread = *TRY(find_own_thread(tid));
    thread.state->is_unparked = true;
    wake(thread);
    return 0;
}

}  // namespace coracle
