// Ring 3's side of the gates.
#include "kernel-min/core/gates.h"

#include "kernel-min/core/layout.h"

// The core knows the gate by the address behind this int3 (core/traps.S).
asm(R"(
.text
.balign 16
.globl gate_entry
gate_entry:
    int3
.globl gate_return
gate_return:
    ret
)");

extern "C" uint64_t gate_entry();

namespace coracle::core {

namespace {

uint64_t gate(uint64_t operation, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
    uint64_t result = operation;
    asm volatile("call gate_entry"
                 : "+a"(result), "+D"(a), "+S"(b), "+d"(c)
                 :
                 : "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
    return result;
}

volatile uint32_t& local_apic(uint32_t offset) {
    return *reinterpret_cast<volatile uint32_t*>(DIRECT_MAP_BASE + 0xfee00000 + offset);
}

// I/O APIC (82093AA): an index and a data window.
uint32_t io_apic_read(uint32_t index) {
    auto* base = reinterpret_cast<volatile uint32_t*>(DIRECT_MAP_BASE + 0xfec00000);
    base[0] = index;
    return base[4];
}
void io_apic_write(uint32_t index, uint32_t value) {
    auto* base = reinterpret_cast<volatile uint32_t*>(DIRECT_MAP_BASE + 0xfec00000);
    base[0] = index;
    base[4] = value;
}

}  // namespace

void halt(uint32_t awaited) { gate(GATE_HALT, awaited); }

// Intel SDM 3A, 10.6.1: the interrupt command register. The low half's store sends.
static void send_command(const Cpu& cpu, uint32_t command) {
    constexpr uint32_t kDeliveryPending = 1 << 12;
    while (local_apic(0x300) & kDeliveryPending) asm volatile("pause");
    local_apic(0x310) = cpu.apic_id << 24;
    local_apic(0x300) = command;
}

void send_interrupt(const Cpu& cpu, uint8_t vector) {
    constexpr uint32_t kAssert = 1 << 14;
    send_command(cpu, kAssert | vector);
}

void send_start(const Cpu& cpu, uint8_t page) {
    constexpr uint32_t kInit = 0x4500, kStartUp = 0x4600;
    send_command(cpu, kInit);
    send_command(cpu, kStartUp | page);
}

uint32_t own_apic_id() { return local_apic(0x20) >> 24; }

void arm_timer(uint64_t nanoseconds) {
    // The local APIC counts nanoseconds under QEMU's TCG and under KVM. A longer time than it can
    // hold wakes the waiter early; it looks at the clock and sleeps again.
    if (nanoseconds > UINT32_MAX) nanoseconds = UINT32_MAX;
    local_apic(0x380) = static_cast<uint32_t>(nanoseconds);
}

void route_interrupt_line(unsigned gsi, uint8_t vector) {
    uint32_t last = io_apic_read(1) >> 16 & 0xff;
    if (gsi > last) return;
    io_apic_write(0x10 + 2 * gsi + 1, 0);    // to CPU 0
    io_apic_write(0x10 + 2 * gsi, vector);   // edge, active high, fixed delivery
}

uint32_t port_in(uint16_t port, unsigned bytes) {
    return static_cast<uint32_t>(gate(GATE_PORT_IN, port, bytes));
}
void port_out(uint16_t port, unsigned bytes, uint32_t value) {
    gate(GATE_PORT_OUT, port, bytes, value);
}
uint64_t read_msr(uint32_t msr) { return gate(GATE_READ_MSR, msr); }
void write_msr(uint32_t msr, uint64_t value) { gate(GATE_WRITE_MSR, msr, value); }
void flush_page(uint64_t address) { gate(GATE_FLUSH_PAGE, address); }
void flush_all() { gate(GATE_FLUSH_ALL); }
void load_page_table(uint64_t physical_address) { gate(GATE_LOAD_PAGE_TABLE, physical_address); }

void print(const char* text, size_t length) {
    gate(GATE_PRINT, reinterpret_cast<uint64_t>(text), length);
}

void power_off(uint8_t exit_code) {
    for (;;) gate(GATE_POWER_OFF, exit_code);
}

}  // namespace coracle::core
