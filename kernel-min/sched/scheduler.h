// Which thread runs. Kernel code is never preempted: it runs until it sleeps (sched/wait.h) or
// leaves. Application code is preempted when its slice ends or somebody more entitled wakes.
//
// Each CPU has its own queue; a thread that wakes goes where it ran last, or to a CPU that idles,
// and a CPU without work takes some from the others. A CPU idles on the stack of the thread that
// ran out of work, and goes on there without a switch when that thread wakes first.
//
// Fair threads share by virtual run time, weighted by nice; real-time threads (rank below
// kFairRank) run before them. There is no tick: the timer runs while somebody waits for the CPU.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/thread.h"
#include "kernel-min/sched/trap_frame.h"

namespace coracle {

// How long a round-robin thread runs before others of its rank do.
constexpr uint64_t kRoundRobinSliceNs = 100'000'000;

// Ends the thread's sleep, or keeps it from falling asleep if it was about to. Of the functions
// here, this one, sleep_until_wake() and yield() need the kernel lock held locally only.
void wake(Thread& thread);

// Carries out what wake() posted to this CPU while others held the kernel lock locally.
void take_posted_wakes(Cpu& cpu);

// Wakes the thread and makes it look for signals, at the end of its sleep or on its way out,
// wherever it runs (kPendingSignal).
void note_signal(Thread& thread);

// Sleeps until wake(). Used by sched/wait.h alone.
void sleep_until_wake();

// sched_yield(2): lets others of the same rank run first.
void yield();

// Lets a more entitled thread run. Called on the way out when kPendingReschedule was set.
void reschedule();

// Makes a thread whose first instructions in the application `frame` describes, and that inherits
// the current thread's vector registers and entitlement. It does not run before start_thread().
// ENOMEM.
Result<Thread*> create_thread(const TrapFrame& frame, uint64_t fs_base);
void start_thread(Thread& thread);
// Makes a thread without an application side, which is fair and may run on any CPU. `body` is
// kernel code and does not return. ENOMEM.
using KernelThreadBody = void (*)(void* argument);
Result<Thread*> create_kernel_thread(KernelThreadBody body, void* argument);
// Frees one that was never started.
void discard_thread(Thread* thread);

// The current thread never runs again; its stack and `Thread` are freed.
[[noreturn]] void end_current_thread();

// Changes how a thread, perhaps a running or ready one, is entitled.
void set_entitlement(Thread& thread, uint32_t rank, uint32_t weight);

// Bit n: CPU n. At least one must run; if the thread's CPU is not among them, it moves.
void set_affinity(Thread& thread, uint64_t affinity);

// The CPUs that run, as an affinity.
uint64_t online_cpus();

// Makes another CPU look at Cpu::pending, in which there is something new: by an interrupt, unless
// it will look anyway. The caller holds the kernel lock, perhaps locally.
void make_look(Cpu& cpu);

// Waits for an interrupt unless a thread is ready, for one that has nothing to do meanwhile but
// must not sleep (sched/polling.h).
void halt_unless_ready();

// Whether the CPU waits for work, and will take the kernel lock before it goes on.
bool is_idle(const Cpu& cpu);

// For a thread that has nothing to do but to find others to run (sched/secondary_cpus.cpp).
[[noreturn]] void run_others();

// TSC ticks that the thread has run until now.
uint64_t run_ticks(const Thread& thread);

}  // namespace coracle
