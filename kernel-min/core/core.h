// Private to the ring-0 core.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/core/layout.h"
#include "kernel-min/sched/cpu.h"
#include "kernel-min/sched/trap_frame.h"

namespace coracle::core {

// Intel SDM 3A, 7.7: the 64-bit TSS.
struct [[gnu::packed]] TaskState {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
};
static_assert(sizeof(TaskState) == 104);

// A CPU's part of the core: what swapgs brings in ring 0, and its stacks. The first three offsets
// are known to traps.S.
struct alignas(CORE_CPU_SIZE) CoreCpu {
    Cpu* cpu;          // 0
    uint64_t stack;    // 8: ring 0's stack, as in the TSS
    uint64_t scratch;  // 16
    uint64_t padding;
    TaskState task_state;
    alignas(16) char last_stack[2048];  // for what can only lead to the panic
    char trap_stack[];                  // to the end of CORE_CPU_SIZE
};

extern "C" CoreCpu core_cpus[MAX_CPUS];

// All of ring 0's stacks lie in their CPU's CoreCpu.
inline CoreCpu& current_core_cpu() {
    uint64_t stack;
    asm("mov %%rsp, %0" : "=r"(stack));
    return *reinterpret_cast<CoreCpu*>(stack & ~uint64_t{CORE_CPU_SIZE - 1});
}

void set_up_cpu(unsigned index, Cpu* cpu);
void set_up_page_tables();
void load_kernel_page_tables();
void set_up_local_apic();
void flush_tlb();
void serial_init();
void serial_write(const char* text, size_t length);

inline volatile uint32_t* local_apic(uint32_t offset) {
    return reinterpret_cast<volatile uint32_t*>(DIRECT_MAP_BASE + 0xfee00000 + offset);
}

inline void out8(uint16_t port, uint8_t value) {
    asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
inline void out16(uint16_t port, uint16_t value) {
    asm volatile("outw %0, %1" ::"a"(value), "Nd"(port));
}
inline void out32(uint16_t port, uint32_t value) {
    asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}
inline uint8_t in8(uint16_t port) {
    uint8_t value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}
inline void write_msr_raw(uint32_t msr, uint64_t value) {
    asm volatile("wrmsr" ::"c"(msr), "a"(static_cast<uint32_t>(value)),
                 "d"(static_cast<uint32_t>(value >> 32)));
}
inline uint64_t read_msr_raw(uint32_t msr) {
    uint32_t low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | static_cast<uint64_t>(high) << 32;
}

// Maps the page of a kernel stack that a fault asks for. False: it is no such fault.
bool grow_kernel_stack(uint64_t address);

[[noreturn]] void stop_machine(uint8_t exit_code);
[[noreturn]] void core_panic(const char* what, const TrapFrame& frame);

}  // namespace coracle::core
