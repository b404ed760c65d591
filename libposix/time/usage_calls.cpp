// times, getrusage.
#include <sys/resource.h>
#include <sys/times.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/cpu_time.h"
#include "syscall-table/handlers.h"

namespace coracle {

Result<long> sys_times(UserOut<struct tms> times) {
    constexpr uint64_t kTickNs = 10'000'000;  // sysconf(_SC_CLK_TCK) is 100
    if (times) {
        struct tms answer = {};
        answer.tms_utime = static_cast<clock_t>(process_cpu_time_ns(*current_process()) / kTickNs);
        TRY(times.write(answer));
    }
    return static_cast<long>(monotonic_ns() / kTickNs);
}

Result<long> sys_getrusage(int who, UserOut<struct rusage> usage) {
    if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN && who != RUSAGE_THREAD) return Error(EINVAL);
    struct rusage answer = {};
    if (who != RUSAGE_CHILDREN) {
        constexpr uint64_t kKiBPerPage = kPageSize / 1024;
        const Thread& thread = *current_thread();
        const Process& process = *thread.process;
        const CpuUsage used = who == RUSAGE_THREAD ? cpu_usage(thread) : cpu_usage(process);
        answer.ru_utime = to_timeval(used.time_ns());
        answer.ru_nvcsw = static_cast<long>(used.voluntary_switches);
        answer.ru_nivcsw = static_cast<long>(used.involuntary_switches);
        answer.ru_maxrss = static_cast<long>(
            process.address_space->peak_resident_pages() * kKiBPerPage);
    }
    TRY(usage.write(answer));
    return 0;
}

}  // namespace coracle
