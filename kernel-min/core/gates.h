// The whole boundary between the ring-3 kernel and the ring-0 core: gates down, upcalls up.
//
// A gate is `int3` inside one known page of code. It costs about a microsecond under TCG and
// about 40 microseconds on a software KVM, so nothing that is frequent uses one: page tables are
// written directly, virtio registers and the local APIC are mapped for ring 3.
//
// Upcalls: the core turns an exception, a `syscall` instruction, or an interrupt of application
// code into a TrapFrame on the thread's kernel stack and continues at the matching entry of
// kernel-min/sched/upcall.S. An interrupt of kernel code only sets a bit in Cpu::pending.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/sched/cpu.h"

namespace coracle::core {

// Waits for an interrupt; returns at once if Cpu::pending has one of the `awaited` bits. No wake-up
// can be lost.
void halt(uint32_t awaited = kPendingInterrupts);

// Interrupts another CPU: WAKE_VECTOR, FLUSH_VECTOR (core/layout.h). A store, not a gate.
void send_interrupt(const Cpu& cpu, uint8_t vector);
// Starts another CPU at the real-mode page of this number: INIT, then SIPI. Stores, not gates.
void send_start(const Cpu& cpu, uint8_t page);
uint32_t own_apic_id();

// Raises kPendingTimer after `nanoseconds` at the latest (LAPIC one-shot: about 4 s at most, so
// look at the clock again); 0 disarms. A store to the local APIC, not a gate.
void arm_timer(uint64_t nanoseconds);

// Interrupt vectors kFirstDeviceVector.. kLastDeviceVector each set bit (vector -
// kFirstDeviceVector) of Cpu::pending_devices and kPendingDevice.
constexpr uint8_t kFirstDeviceVector = 0x40;
constexpr uint8_t kLastDeviceVector = 0x7f;

// Routes an I/O APIC line (GSI) to a device vector, edge-triggered: a deferred handler could not
// lower a level before the core ends the interrupt. Drivers acknowledge first, then look.
void route_interrupt_line(unsigned gsi, uint8_t vector);

uint32_t port_in(uint16_t port, unsigned bytes);
void port_out(uint16_t port, unsigned bytes, uint32_t value);

uint64_t read_msr(uint32_t msr);
void write_msr(uint32_t msr, uint64_t value);

// TLB: `flush_page` drops one page of the current address space, `flush_all` all of it.
void flush_page(uint64_t address);
void flush_all();
void load_page_table(uint64_t physical_address);

// Writes text to the emergency console (COM1), raw.
void print(const char* text, size_t length);

// Ends the VM. `exit_code` reaches the host through isa-debug-exit where that exists.
[[noreturn]] void power_off(uint8_t exit_code);

}  // namespace coracle::core
