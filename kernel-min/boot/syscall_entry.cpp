#include "kernel-min/boot/syscall_entry.h"

#include "kernel-min/core/gates.h"

// sched/ring3_syscall.S
extern "C" {
extern char syscall_level_probe[], ring3_syscall[];
uint64_t probe_syscall_level();
}

namespace coracle {

// Where it stays in ring 3, interrupts stay on: ring 3 could not turn them on again.
void choose_syscall_entry() {
    constexpr uint32_t kLstar = 0xc0000082, kFmask = 0xc0000084;
    constexpr uint64_t kInterruptFlag = 0x200;
    const uint64_t core_entry = core::read_msr(kLstar);
    core::write_msr(kLstar, reinterpret_cast<uint64_t>(syscall_level_probe));
    const bool stays_in_ring3 = probe_syscall_level() == 3;
    core::write_msr(kLstar,
                    stays_in_ring3 ? reinterpret_cast<uint64_t>(ring3_syscall) : core_entry);
    if (stays_in_ring3) core::write_msr(kFmask, core::read_msr(kFmask) & ~kInterruptFlag);
}

}  // namespace coracle
