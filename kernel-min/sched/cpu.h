// Per-CPU state, at %gs:0 while ring 3 runs. The application must leave GS alone: HWCAP2 does not
// announce FSGSBASE, and the core sets GS again at every upcall.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel-min/sched/local_lock.h"

namespace coracle {

struct Thread;

// Bits of Cpu::pending: work to do before the application runs again.
constexpr uint32_t kPendingTimer = 1;    // set by the core: the one-shot timer fired
constexpr uint32_t kPendingDevice = 2;   // set by the core: see pending_devices
constexpr uint32_t kPendingSignal = 4;   // the current thread may have a signal to take
constexpr uint32_t kPendingReschedule = 8;  // somebody more entitled waits for the CPU
constexpr uint32_t kPendingWake = 16;  // set by the core: another CPU asks to look
constexpr uint32_t kPendingStackReserve = 32;  // set by the core: a kernel stack grew

constexpr uint32_t kPendingSequence = 64;  // a restartable sequence was interrupted, or moved
constexpr uint32_t kPendingPostedWakes = 128;  // other CPUs posted wake-ups: see posted_wakes

// What ends a CPU's wait, and what run_interrupt_handlers() handles.
constexpr uint32_t kPendingInterrupts = kPendingTimer | kPendingDevice | kPendingWake |
                                        kPendingStackReserve | kPendingPostedWakes;

constexpr uint64_t kFlushAll = ~uint64_t{0};

struct CpuScheduler;  // sched/scheduler.cpp

// How a CPU holds the kernel lock (sched/kernel_lock.h).
enum class LockHold : uint8_t { kNone, kLocal, kAlone };

// Frames for kernel stacks that grow (core/kernel_stack.cpp): any kernel code may touch a new page
// of its stack, even the frame allocator. kPendingStackReserve asks for more.
struct StackReserve {
    static constexpr uint32_t kSize = 16;
    uint32_t count;
    uint64_t frames[kSize];
};

struct Cpu {
    Cpu* self;                   // offset 0
    Thread* current;             // 8
    uint64_t kernel_stack_top;   // 16: of the current thread; 16-byte aligned
    std::atomic<uint32_t> pending;  // 24
    uint32_t id;                 // 28
    std::atomic<uint64_t> pending_devices;  // 32

    uint32_t apic_id;
    // The next two are looked at as one after each switch (sched/thread_switch.cpp).
    alignas(2) std::atomic<LockHold> lock_hold;  // with one CPU: always kNone
    bool has_leftovers;  // exited_thread or leaving_thread (sched/cpu_scheduler.h)
    CpuScheduler* scheduler;

    // Whether it will look at `pending` before it does anything else: it waits for the kernel lock,
    // or idles without having halted. See make_look() in sched/scheduler.h.
    std::atomic<bool> looks_soon;

    std::atomic<bool> lock_granted;  // the kernel lock, while this CPU waits for it

    // Threads of this CPU that others have woken while they held the lock locally: a list by
    // Thread::next_posted, to be emptied by this CPU, or under the lock held alone.
    std::atomic<Thread*> posted_wakes;

    // The TLB (sched/tlb.h). The core answers FLUSH_VECTOR by these.
    uint64_t page_table;         // what CR3 holds
    bool flush_before_use;       // asked for while the CPU idled
    uint64_t flush_address;      // one page, or kFlushAll
    std::atomic<uint64_t> flushes_wanted, flushes_done;

    StackReserve stack_reserve;  // taken from by the core
};

// Every CPU that runs, in the order of their ids. The first is the one that booted.
extern Cpu* cpus[];
extern unsigned cpu_count;

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

void run_interrupt_handlers();
// Runs the handlers of what is pending but signals: the timer wheel and devices. Called when the
// kernel leaves or idles.
inline void handle_pending_interrupts() {
    const uint32_t pending = current_cpu()->pending.load(std::memory_order_relaxed);
    if (pending & kPendingInterrupts) [[unlikely]] run_interrupt_handlers();
}

// A device driver's handler for a core::kFirstDeviceVector.. vector, in thread context. It runs
// under the kernel lock held alone, unless it is registered as one that changes nothing but what
// belongs to its CPU: then the lock may be held locally.
using InterruptHandler = void (*)(void* context);
// Returns the vector. Panics when there is none left: a boot-time matter.
uint8_t register_interrupt_handler(InterruptHandler handler, void* context,
                                   LockNeeded needs = LockNeeded::kAlone);
// As if the device had interrupted this CPU: the handler runs before the kernel is left.
void raise_interrupt(uint8_t vector);
// The same for another CPU. The caller holds the kernel lock, perhaps locally.
void raise_interrupt_on(Cpu& cpu, uint8_t vector);

}  // namespace coracle
