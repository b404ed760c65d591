// Ring 3's first code.
#include "kernel-min/boot/boot_info.h"
#include "kernel-min/core/gates.h"
#include "kernel-min/sched/thread.h"

namespace coracle {

// Defined by the layer above (libposix/process/init.cpp): sets up POSIX and runs the program.
[[noreturn]] void kernel_main();

namespace {
Thread boot_thread;
}

}  // namespace coracle

extern "C" {
coracle::Cpu boot_cpu;
extern char kernel_boot_stack_top[];
using Constructor = void (*)();
extern Constructor init_array_start[], init_array_end[];

void kernel_start(uint64_t boot_word) {
    using namespace coracle;
    boot_thread.kernel_stack_top = reinterpret_cast<uint64_t>(kernel_boot_stack_top);
    boot_cpu.current = &boot_thread;
    boot_cpu.kernel_stack_top = boot_thread.kernel_stack_top;
    for (Constructor* constructor = init_array_start; constructor < init_array_end; constructor++) {
        (*constructor)();
    }
    read_boot_info(boot_word);
    kernel_main();
}
}
