#include "kernel-min/sched/kernel_lock.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"

namespace coracle {
namespace {

std::atomic<Cpu*> last_waiter;  // or the holder

void wait_for_grant(Cpu& cpu) {
    constexpr unsigned kPolls = 200;
    for (;;) {
        for (unsigned i = 0; i < kPolls; i++) {
            if (cpu.lock_granted.load(std::memory_order_acquire)) return;
            asm volatile("pause");
        }
        // Whoever grants it looks at waits_halted afterwards: one of the two sees the other.
        cpu.pending.fetch_and(~kPendingWake);
        cpu.waits_halted.store(true);
        if (!cpu.lock_granted.load()) core::halt(kPendingWake);
        cpu.waits_halted.store(false, std::memory_order_relaxed);
    }
}

void grant(Cpu& cpu) {
    cpu.lock_granted.store(true);
    if (cpu.waits_halted.load()) core::send_interrupt(cpu, WAKE_VECTOR);
}

}  // namespace

void lock_kernel() {
    Cpu& cpu = *current_cpu();
    cpu.next_waiter.store(nullptr, std::memory_order_relaxed);
    cpu.lock_granted.store(false, std::memory_order_relaxed);
    Cpu* before = last_waiter.exchange(&cpu, std::memory_order_acq_rel);
    if (before) {
        cpu.looks_soon.store(true, std::memory_order_relaxed);
        before->next_waiter.store(&cpu, std::memory_order_release);
        wait_for_grant(cpu);
        cpu.looks_soon.store(false, std::memory_order_relaxed);
    }
    cpu.holds_kernel_lock = true;
}

void unlock_kernel() {
    Cpu& cpu = *current_cpu();
    cpu.holds_kernel_lock = false;
    Cpu* next = cpu.next_waiter.load(std::memory_order_acquire);
    if (!next) {
        Cpu* expected = &cpu;
        if (last_waiter.compare_exchange_strong(expected, nullptr, std::memory_order_release)) {
            return;
        }
        // Somebody has queued and is about to say so.
        while (!(next = cpu.next_waiter.load(std::memory_order_acquire))) asm volatile("pause");
    }
    grant(*next);
}

}  // namespace coracle
