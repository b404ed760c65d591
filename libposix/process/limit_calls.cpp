// getrlimit, setrlimit, prlimit64.
#include <sys/resource.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

Result<Resource> checked_resource(unsigned int resource) {
    if (resource >= kResourceCount) return Error(EINVAL);
    return static_cast<Resource>(resource);
}

struct rlimit to_rlimit(const ResourceLimit& limit) { return {limit.soft, limit.hard}; }

Result<void> set_limit(unsigned int resource, const struct rlimit& wanted) {
    Process& process = *current_process();
    const bool may_raise = current_credentials().has_capability(kCapSysResource);
    return process.limits.set(TRY(checked_resource(resource)), {wanted.rlim_cur, wanted.rlim_max},
                              may_raise);
}

}  // namespace

Result<long> sys_getrlimit(unsigned int resource, UserOut<struct rlimit> limit) {
    TRY(limit.write(to_rlimit(current_process()->limits[TRY(checked_resource(resource))])));
    return 0;
}

Result<long> sys_setrlimit(unsigned int resource, UserIn<struct rlimit> limit) {
    TRY(set_limit(resource, TRY(limit.read())));
    return 0;
}

Result<long> sys_prlimit64(int pid, unsigned int resource, UserIn<struct rlimit> limit,
                           UserOut<struct rlimit> old) {
    struct rlimit wanted = {};
    if (limit) wanted = TRY(limit.read());
    const Process& process = *current_process();
    if (pid != 0 && static_cast<uint32_t>(pid) != process.pid) return Error(ESRCH);
    const struct rlimit previous = to_rlimit(process.limits[TRY(checked_resource(resource))]);
    if (limit) TRY(set_limit(resource, wanted));
    if (old) TRY(old.write(previous));
    return 0;
}

}  // namespace coracle
