// The gates' ring-0 side. See gates.h for what each promises.
#include "kernel-min/core/core.h"

namespace coracle::core {

namespace {

void halt_until_interrupt(uint32_t awaited) {
    // Interrupts are off here: what comes after the look wakes the hlt.
    uint32_t pending = current_core_cpu().cpu->pending.load(std::memory_order_relaxed);
    if (pending & awaited) return;
    asm volatile("sti; hlt; cli" ::: "memory");
}

uint64_t port_read(uint16_t port, uint64_t bytes) {
    uint32_t value = 0;
    if (bytes == 1) {
        value = in8(port);
    } else if (bytes == 2) {
        uint16_t word;
        asm volatile("inw %1, %0" : "=a"(word) : "Nd"(port));
        value = word;
    } else {
        asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    }
    return value;
}

}  // namespace

void flush_tlb() {
    // Kernel entries are global: switching PGE off and on drops them too.
    uint64_t cr4;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    asm volatile("mov %0, %%cr4" ::"r"(cr4 & ~0x80ul) : "memory");
    asm volatile("mov %0, %%cr4" ::"r"(cr4) : "memory");
}

void serial_init() {
    constexpr uint16_t kCom1 = 0x3f8;
    out8(kCom1 + 1, 0);     // no interrupts
    out8(kCom1 + 3, 0x80);  // divisor latch
    out8(kCom1 + 0, 1);     // 115,200 baud
    out8(kCom1 + 1, 0);
    out8(kCom1 + 3, 3);  // 8N1
    out8(kCom1 + 2, 7);  // FIFO on, cleared
    out8(kCom1 + 4, 0xb);
}

void serial_write(const char* text, size_t length) {
    for (size_t i = 0; i < length; i++) {
        for (int tries = 0; !(in8(0x3fd) & 0x20) && tries < 100000; tries++) {}
        out8(0x3f8, static_cast<uint8_t>(text[i]));
    }
}

// Tries every way out that a hypervisor may offer; the triple fault works with all of them.
void stop_machine(uint8_t exit_code) {
    out32(0xf4, exit_code);   // isa-debug-exit
    out16(0x604, 0x2000);     // ACPI S5 of QEMU's q35
    out8(0x64, 0xfe);         // keyboard controller's reset line (Firecracker)
    struct [[gnu::packed]] {
        uint16_t limit;
        uint64_t base;
    } nothing = {0, 0};
    asm volatile("lidt %0; int3" ::"m"(nothing));
    for (;;) asm volatile("hlt");
}

}  // namespace coracle::core

extern "C" uint64_t core_gate(uint64_t a, uint64_t b, uint64_t c, uint64_t operation) {
    using namespace coracle::core;
    switch (operation) {
        case GATE_HALT: halt_until_interrupt(static_cast<uint32_t>(a)); return 0;
        case GATE_PORT_IN: return port_read(static_cast<uint16_t>(a), b);
        case GATE_PORT_OUT:
            if (b == 1) out8(static_cast<uint16_t>(a), static_cast<uint8_t>(c));
            else if (b == 2) out16(static_cast<uint16_t>(a), static_cast<uint16_t>(c));
            else out32(static_cast<uint16_t>(a), static_cast<uint32_t>(c));
            return 0;
        case GATE_READ_MSR: return read_msr_raw(static_cast<uint32_t>(a));
        case GATE_WRITE_MSR: write_msr_raw(static_cast<uint32_t>(a), b); return 0;
        case GATE_FLUSH_PAGE: asm volatile("invlpg (%0)" ::"r"(a) : "memory"); return 0;
        case GATE_FLUSH_ALL: flush_tlb(); return 0;
        case GATE_LOAD_PAGE_TABLE: asm volatile("mov %0, %%cr3" ::"r"(a) : "memory"); return 0;
        case GATE_PRINT: serial_write(reinterpret_cast<const char*>(a), b); return 0;
        case GATE_POWER_OFF: stop_machine(static_cast<uint8_t>(a));
    }
    return 0;
}
