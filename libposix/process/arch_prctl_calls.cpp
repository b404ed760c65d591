// arch_prctl: the FS base, which holds the thread pointer. GS holds the kernel's per-CPU data
// (kernel-min/sched/cpu.h): for programs its base is 0 and stays so.
#include <asm/prctl.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr int kGetXcompSupp = 0x1021, kGetXcompPerm = 0x1022, kReqXcompPerm = 0x1023;

uint64_t enabled_state_components() {
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

}  // namespace

Result<long> sys_arch_prctl(int option, unsigned long address) {
    const UserOut<uint64_t> out(address);
    switch (option) {
        case ARCH_SET_FS:
            if (address >= kUserEnd) return Error(EPERM);
            asm volatile("wrfsbase %0" ::"r"(address));
            return 0;
        case ARCH_GET_FS: {
            uint64_t base;
            asm volatile("rdfsbase %0" : "=r"(base));
            TRY(out.write(base));
            return 0;
        }
        case ARCH_SET_GS:
            if (address != 0) return Error(EPERM);
            return 0;
        case ARCH_GET_GS:
            TRY(out.write(0));
            return 0;
        case ARCH_GET_CPUID:
            return 1;
        case ARCH_SET_CPUID:
            // The instruction cannot be made to fault: so it is on Linux without CPUID faulting.
            return Error(ENODEV);
        case kGetXcompSupp:
        case kGetXcompPerm:
            TRY(out.write(enabled_state_components()));
            return 0;
        case kReqXcompPerm: {
            constexpr unsigned long kComponents = 64;
            if (address >= kComponents) return Error(EINVAL);
            if (!(enabled_state_components() >> address & 1)) return Error(EOPNOTSUPP);
            return 0;
        }
        default:
            return Error(EINVAL);
    }
}

}  // namespace coracle
