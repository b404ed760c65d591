// Ring 3's first code.
#include "kernel-min/boot/boot_info.h"
#include "kernel-min/core/gates.h"
#include "kernel-min/sched/thread.h"

// ring3_syscall.S
extern "C" {
extern char syscall_level_probe[], ring3_syscall[];
uint64_t probe_syscall_level();
}

namespace coracle {

// Defined by the layer above (libposix/process/init.cpp): sets up POSIX and runs the program.
[[noreturn]] void kernel_main();

namespace {

Thread boot_thread;

// Where `syscall` leads, for hypervisors on which it stays in ring 3. Interrupts stay on there:
// ring 3 could not turn them on again.
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

}  // namespace

}  // namespace coracle

extern "C" {
coracle::Cpu boot_cpu;
extern char kernel_boot_stack_top[];
using Constructor = void (*)();
extern Constructor init_array_start[], init_array_end[];

void kernel_start(uint64_t boot_word) {
    using namespace coracle;
    boot_cpu.current = &boot_thread;
    boot_cpu.kernel_stack_top = reinterpret_cast<uint64_t>(kernel_boot_stack_top);
    for (Constructor* constructor = init_array_start; constructor < init_array_end; constructor++) {
        (*constructor)();
    }
    boot_thread.kernel_stack_top = boot_cpu.kernel_stack_top;
    choose_syscall_entry();
    read_boot_info(boot_word);
    kernel_main();
}
}
