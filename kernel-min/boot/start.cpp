// Ring 3's first code.
#include "kernel-min/boot/boot_info.h"
#include "kernel-min/boot/syscall_entry.h"
#include "kernel-min/sched/cpu_scheduler.h"
#include "kernel-min/sched/thread.h"

extern "C" {
coracle::Cpu boot_cpu;
}

namespace coracle {

// Defined by the layer above (libposix/process/init.cpp): sets up POSIX and runs the program.
[[noreturn]] void kernel_main();

namespace {

Thread boot_thread;
CpuScheduler boot_scheduler(boot_cpu);

}  // namespace

}  // namespace coracle

extern "C" {
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
    boot_thread.cpu = &boot_cpu;
    boot_cpu.scheduler = &boot_scheduler;
    cpus[0] = &boot_cpu;
    cpu_count = 1;
    choose_syscall_entry();
    read_boot_info(boot_word);
    kernel_main();
}
}
