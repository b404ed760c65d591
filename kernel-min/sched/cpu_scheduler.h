// What the scheduler keeps for each CPU. Private to kernel-min/sched.
#pragma once

#include "kernel-min/sched/run_queue.h"
#include "kernel-min/sched/timer_queue.h"

namespace coracle {

struct CpuScheduler {
    explicit CpuScheduler(Cpu& cpu) : slice_timer(on_slice_end, &cpu, LockNeeded::kLocally) {}

    RunQueue ready;
    TimerQueue timers;
    Timer slice_timer;  // runs while somebody waits for the CPU
    // The one that the CPU left for good, and the one that must go on elsewhere: until another
    // one's stack is in use. See Cpu::has_leftovers.
    Thread* exited_thread = nullptr;
    Thread* leaving_thread = nullptr;
    Thread* idle_thread = nullptr;  // runs when no other can; there with several CPUs
    uint64_t idle_ticks = 0;        // up to `idle_since`
    uint64_t idle_since = 0;        // TSC; 0: not idle
    bool may_poll = false;          // before it halts: the last wait was short
    uint64_t poll_ticks = 0;        // how long

  private:
    static void on_slice_end(void* cpu);
};

inline CpuScheduler& current_scheduler() {
    return *current_cpu()->scheduler;
}

// A thread that was woken under the kernel lock held locally may run where it must not: it moves on
// its way out.
inline void note_if_misplaced() {
    Cpu& cpu = *current_cpu();
    if (!(cpu.current->affinity >> cpu.id & 1)) [[unlikely]]
        cpu.pending.fetch_or(kPendingReschedule, std::memory_order_relaxed);
}

// Makes the CPU run `next` in place of the current thread, which is accounted. Returns when
// somebody switches back, perhaps on another CPU.
void switch_to(Thread& next);

}  // namespace coracle
