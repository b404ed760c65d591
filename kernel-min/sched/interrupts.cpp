// Deferred interrupts: the core sets bits, the handlers run here, in thread context.
#include "kernel-min/core/gates.h"
#include "kernel-min/devices/clock_measurement.h"
#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/scheduler.h"
#include "kernel-min/sched/thread.h"
#include "kernel-min/sched/timer_queue.h"

namespace coracle {

namespace {

struct Handler {
    InterruptHandler function;
    void* context;
    LockNeeded needs;
};
Handler handlers[core::kLastDeviceVector - core::kFirstDeviceVector + 1];
unsigned handler_count;

}  // namespace

uint8_t register_interrupt_handler(InterruptHandler function, void* context, LockNeeded needs) {
    ASSERT(handler_count < sizeof(handlers) / sizeof(handlers[0]));
    handlers[handler_count] = {function, context, needs};
    return static_cast<uint8_t>(core::kFirstDeviceVector + handler_count++);
}

void raise_interrupt(uint8_t vector) {
    Cpu* cpu = current_cpu();
    cpu->pending_devices.fetch_or(uint64_t{1} << (vector - core::kFirstDeviceVector),
                                  std::memory_order_relaxed);
    cpu->pending.fetch_or(kPendingDevice, std::memory_order_relaxed);
}

void raise_interrupt_on(Cpu& cpu, uint8_t vector) {
    cpu.pending_devices.fetch_or(uint64_t{1} << (vector - core::kFirstDeviceVector));
    cpu.pending.fetch_or(kPendingDevice);
    make_look(cpu);
}

void run_interrupt_handlers() {
    Cpu* cpu = current_cpu();
    const uint32_t pending =
        cpu->pending.fetch_and(~kPendingInterrupts, std::memory_order_relaxed);
    const bool was_local = holds_lock_locally();
    if (pending & kPendingStackReserve) {
        hold_alone();
        if (!refill_stack_reserve(*cpu)) kill_for_memory();
    }
    if (pending & kPendingTimer) {
        if (was_local && timer_measures_clock()) hold_alone();
        current_timer_queue().run_expired();
    }
    if (pending & kPendingPostedWakes) take_posted_wakes(*cpu);
    if (!(pending & kPendingDevice)) return;
    uint64_t devices = cpu->pending_devices.exchange(0, std::memory_order_relaxed);
    while (devices) {
        unsigned index = static_cast<unsigned>(__builtin_ctzl(devices));
        devices &= devices - 1;
        const Handler& handler = handlers[index];
        if (!handler.function) continue;
        if (handler.needs == LockNeeded::kAlone) {
            hold_alone();
        } else if (was_local) {
            hold_locally();
        }
        handler.function(handler.context);
    }
}

}  // namespace coracle
