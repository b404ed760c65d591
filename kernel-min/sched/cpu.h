// Per-CPU state, at %gs:0 while ring 3 runs. The application must leave GS alone: HWCAP2 does not
// announce FSGSBASE, and the core sets GS again at every upcall.
#pragma once

#include <atomic>
#include <cstdint>

namespace coracle {

struct Thread;

// Bits of Cpu::pending: work to do before the application runs again.
constexpr uint32_t kPendingTimer = 1;    // set by the core: the one-shot timer fired
constexpr uint32_t kPendingDevice = 2;   // set by the core: see pending_devices
constexpr uint32_t kPendingSignal = 4;   // the current thread may have a signal to take
constexpr uint32_t kPendingReschedule = 8;  // somebody more entitled waits for the CPU

struct Cpu {
    Cpu* self;                   // offset 0
    Thread* current;             // 8
    uint64_t kernel_stack_top;   // 16: of the current thread; 16-byte aligned
    std::atomic<uint32_t> pending;  // 24
    uint32_t id;                 // 28
    std::atomic<uint64_t> pending_devices;  // 32
};

inline Cpu* current_cpu() {
    Cpu* cpu;
    asm volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

inline Thread* current_thread() {
    Thread* thread;
    asm volatile("mov %%gs:8, %0" : "=r"(thread));
    return thread;
}

// Runs the handlers of what is pending but signals: the timer wheel and devices. Called when the
// kernel leaves or idles.
void handle_pending_interrupts();

// A device driver's handler for a core::kFirstDeviceVector.. vector, in thread context.
using InterruptHandler = void (*)(void* context);
// Returns the vector. Panics when there is none left: a boot-time matter.
uint8_t register_interrupt_handler(InterruptHandler handler, void* context);

}  // namespace coracle
