// sched_setaffinity, sched_getaffinity, getcpu.
#include <algorithm>

#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {

Result<long> sys_sched_setaffinity(int tid, unsigned int size, UserIn<unsigned long> mask) {
    uint64_t wanted = 0;
    const size_t bytes = std::min<size_t>(size, sizeof(wanted));
    if (!copy_from_user(&wanted, mask.address(), bytes)) return Error(EFAULT);
    Thread* thread = TRY(find_any_thread(tid));
    TRY(check_may_schedule(*thread));
    if (!(wanted & online_cpus())) return Error(EINVAL);
    set_affinity(*thread, wanted & online_cpus());
    return 0;
}

Result<long> sys_sched_getaffinity(int tid, unsigned int size, UserOut<unsigned long> mask) {
    if (size == 0 || size % sizeof(unsigned long) != 0) return Error(EINVAL);
    const Thread* thread = TRY(find_any_thread(tid));
    TRY(mask.write(thread->affinity & online_cpus()));
    return sizeof(unsigned long);
}

Result<long> sys_getcpu(UserOut<unsigned int> cpu, UserOut<unsigned int> node, unsigned long) {
    if (cpu) TRY(cpu.write(current_cpu()->id));
    if (node) TRY(node.write(0));
    return 0;
}

}  // namespace coracle
