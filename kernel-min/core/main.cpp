// Ring 0's start: CPU state, tables, then down to ring 3 for good.
#include <cpuid.h>

#include "kernel-min/core/core.h"

extern "C" {
extern uint64_t core_gdt_tss[];
extern char core_exception_stubs[], core_breakpoint[], core_timer_interrupt[],
    core_wake_interrupt[], core_flush_interrupt[], core_spurious_interrupt[], core_device_stubs[],
    core_syscall[];
[[noreturn]] void core_enter_ring3(uint64_t argument, uint64_t function, uint64_t stack);
// The ring-3 kernel's entry and first stack.
void kernel_start(uint64_t boot_word);
void secondary_start(coracle::Cpu* cpu);
extern char kernel_boot_stack_top[];
extern coracle::Cpu boot_cpu;
}

namespace coracle::core {

namespace {

struct alignas(16) IdtEntry {
    uint64_t low, high;
};
IdtEntry idt[256];

constexpr uint64_t kInterruptGate = 0x8e00, kRing3 = 0x6000;

void set_gate(unsigned vector, const char* handler, uint64_t flags, unsigned ist = 0) {
    uint64_t address = reinterpret_cast<uint64_t>(handler);
    idt[vector].low = (address & 0xffff) | CORE_CODE_SELECTOR << 16 |
                      static_cast<uint64_t>(ist) << 32 | (kInterruptGate | flags) << 32 |
                      (address >> 16 & 0xffff) << 48;
    idt[vector].high = address >> 32;
}

void enable_cpu_features() {
    uint32_t a, b, c, d;
    uint64_t cr4;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= 1 << 5 | 1 << 7 | 1 << 9 | 1 << 10 | 1 << 16;  // PAE PGE OSFXSR OSXMMEXCPT FSGSBASE
    __cpuid(1, a, b, c, d);
    bool has_xsave = c >> 26 & 1;
    if (has_xsave) cr4 |= 1 << 18;  // OSXSAVE
    asm volatile("mov %0, %%cr4" ::"r"(cr4));
    if (has_xsave) {
        // x87, SSE, AVX and AVX-512 state, as far as the CPU has them; nothing that programs
        // would have to ask for first (AMX), nothing that belongs to the kernel (PKRU).
        __cpuid_count(13, 0, a, b, c, d);
        uint32_t state = a & 0xe7;
        if ((state & 0xe0) != 0xe0) state &= 0x7;
        asm volatile("xsetbv" ::"c"(0), "a"(state), "d"(0));
    }
}

}  // namespace

[[gnu::section(".core.bss")]] CoreCpu core_cpus[MAX_CPUS];

static void set_up_interrupts() {
    for (unsigned i = 0; i < 32; i++) set_gate(i, core_exception_stubs + 16 * i, 0);
    // A program may execute int3, into and bound: these gates are open to ring 3.
    set_gate(3, core_breakpoint, kRing3);
    set_gate(4, core_exception_stubs + 16 * 4, kRing3);
    set_gate(2, core_exception_stubs + 16 * 2, 0, 1);
    set_gate(8, core_exception_stubs + 16 * 8, 0, 1);
    set_gate(18, core_exception_stubs + 16 * 18, 0, 1);
    for (unsigned v = 32; v < 256; v++) set_gate(v, core_spurious_interrupt, 0);
    set_gate(TIMER_VECTOR, core_timer_interrupt, 0);
    set_gate(WAKE_VECTOR, core_wake_interrupt, 0);
    set_gate(FLUSH_VECTOR, core_flush_interrupt, 0);
    for (unsigned v = FIRST_DEVICE_VECTOR; v <= LAST_DEVICE_VECTOR; v++) {
        set_gate(v, core_device_stubs + 16 * (v - FIRST_DEVICE_VECTOR), 0);
    }
}

// The tables and model-specific registers of one CPU, whose stack we are on or soon will be.
void set_up_cpu(unsigned index, Cpu* cpu) {
    CoreCpu& core_cpu = core_cpus[index];
    core_cpu.cpu = cpu;
    core_cpu.stack = reinterpret_cast<uint64_t>(&core_cpu) + CORE_CPU_SIZE;
    TaskState& task_state = core_cpu.task_state;
    task_state.rsp[0] = core_cpu.stack;
    task_state.ist[0] =
        reinterpret_cast<uint64_t>(core_cpu.last_stack + sizeof(core_cpu.last_stack));
    task_state.io_map_base = sizeof(TaskState);
    const uint64_t base = reinterpret_cast<uint64_t>(&task_state);
    core_gdt_tss[2 * index] = 0x0000890000000000 | (sizeof(TaskState) - 1) |
                              (base & 0xffffff) << 16 | (base >> 24 & 0xff) << 56;
    core_gdt_tss[2 * index + 1] = base >> 32;
    asm volatile("ltr %w0" ::"r"(TSS_SELECTOR + 16 * index));

    struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } idt_register = {sizeof(idt) - 1, reinterpret_cast<uint64_t>(idt)};
    asm volatile("lidt %0" ::"m"(idt_register));

    write_msr_raw(0xc0000081, 0x0023001000000000);  // STAR
    write_msr_raw(0xc0000082, reinterpret_cast<uint64_t>(core_syscall));
    write_msr_raw(0xc0000084, 0x257fd5);  // FMASK: as Linux's, all but the fixed flags
    write_msr_raw(0xc0000102, reinterpret_cast<uint64_t>(&core_cpu));  // KERNEL_GS_BASE
    write_msr_raw(0xc0000101, reinterpret_cast<uint64_t>(cpu));        // GS_BASE
    cpu->self = cpu;
}

void set_up_local_apic() {
    *local_apic(0xf0) = 0x100 | SPURIOUS_VECTOR;
    *local_apic(0x80) = 0;             // TPR
    *local_apic(0x3e0) = 0xb;          // divide by 1
    *local_apic(0x320) = TIMER_VECTOR;  // one-shot
}

}  // namespace coracle::core

extern "C" [[noreturn]] void core_main(uint64_t protocol, uint64_t information) {
    using namespace coracle::core;
    enable_cpu_features();
    set_up_interrupts();
    set_up_cpu(0, &boot_cpu);
    set_up_page_tables();
    serial_init();
    // The old PIC, where there is one, must stay silent: all work goes by the local APIC.
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    set_up_local_apic();
    // Both words fit in one: the information is below 4 GiB.
    core_enter_ring3(information | protocol << 63, reinterpret_cast<uint64_t>(kernel_start),
                     reinterpret_cast<uint64_t>(kernel_boot_stack_top) - 8);
}

// Another CPU, on its trap stack: ring 3 has started it (kernel-min/sched/secondary_cpus.cpp).
extern "C" [[noreturn]] void core_secondary_main(uint64_t index, coracle::Cpu* cpu,
                                                 uint64_t stack) {
    using namespace coracle::core;
    enable_cpu_features();
    load_kernel_page_tables();  // `cpu` is in the direct map
    set_up_cpu(static_cast<unsigned>(index), cpu);
    set_up_local_apic();
    core_enter_ring3(reinterpret_cast<uint64_t>(cpu), reinterpret_cast<uint64_t>(secondary_start),
                     stack - 8);
}
