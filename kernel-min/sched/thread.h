// A thread of the kernel: a kernel stack, what the scheduler knows about it, and what the layers
// above hang on it. All of it is guarded by the kernel lock (sched/kernel_lock.h); a thread belongs
// to its CPU, and changes it only under the lock held alone.
#pragma once

#include <atomic>
#include <boost/intrusive/list_hook.hpp>
#include <boost/intrusive/set_hook.hpp>
#include <cstdint>

#include "kernel-min/sched/cpu.h"
#include "kernel-min/sched/vector_state.h"

namespace coracle {

struct Cpu;          // sched/cpu.h
class Process;       // libposix/process/process.h
struct ThreadState;  // libposix/process/process.h: signals and the rest of POSIX

enum class RunState : uint8_t { kRunning, kReady, kSleeping, kExited };

// Of what belongs to no CPU.
constexpr uint32_t kNoHome = UINT32_MAX;

constexpr uint32_t kFairRank = 100;  // SCHED_FIFO and SCHED_RR priority p: rank 99 - p

// Where virtual run time starts: a thread that moves to another CPU may come to lie before it.
constexpr uint64_t kFirstVirtualTime = uint64_t{1} << 62;

// Where a thread stands among those that are ready (sched/run_queue.h).
struct RunKey {
    uint32_t rank = kFairRank;  // lower runs first, always
    // Within a rank: virtual run time in TSC ticks, or order of arrival.
    uint64_t order = kFirstVirtualTime;
    bool operator<(const RunKey& other) const {
        return rank != other.rank ? rank < other.rank : order < other.order;
    }
};

struct ReadyHook : boost::intrusive::set_base_hook<boost::intrusive::tag<ReadyHook>> {};
struct SiblingHook : boost::intrusive::list_base_hook<boost::intrusive::tag<SiblingHook>> {};
struct TidHook : boost::intrusive::set_base_hook<boost::intrusive::tag<TidHook>> {};

struct Thread : ReadyHook, SiblingHook, TidHook {
    Process* process = nullptr;
    ThreadState* state = nullptr;
    uint32_t tid = 0;
    uint64_t kernel_stack_top = 0;
    bool woken = false;  // see sched/wait.h
    // The home of the one file that the thread's call uses, if it uses nothing else that is shared:
    // then the kernel lock may be held locally on that CPU. Null: alone (sched/kernel_lock.h).
    const uint32_t* home = nullptr;
    // A wake-up that another CPU posted: Cpu::posted_wakes.
    std::atomic<bool> wake_is_posted{false};
    Thread* next_posted = nullptr;

    // The scheduler's.
    RunState run_state = RunState::kRunning;
    bool signal_noted = false;      // kPendingSignal while it does not run
    // Whether its restartable sequence must end before it goes on: it was preempted, or runs on
    // another CPU than at its last look (libposix/process/restartable_sequence.h).
    bool has_sequence = false, sequence_ended = false;
    uint32_t sequence_cpu = 0;
    RunKey key;
    uint32_t weight = kNormalWeight;
    bool is_round_robin = false;    // shares the CPU with those of its rank (SCHED_RR)
    uint64_t slice_ticks = 0;       // since it was last chosen
    uint64_t run_ticks = 0;         // TSC ticks that it ran, up to `started_ticks`
    uint64_t started_ticks = 0;     // the TSC when it last began to run
    uint64_t stack_pointer = 0;     // while it does not run
    uint64_t fs_base = 0;           // while it does not run
    uint64_t page_table = 0;        // its root; 0: the kernel half alone, which any has
    Cpu* cpu = nullptr;             // where it runs, or ran last
    uint64_t affinity = ~uint64_t{0};  // bit n: may run on CPU n
    VectorState vector_state;
    uint64_t voluntary_switches = 0, involuntary_switches = 0;

    static constexpr uint32_t kNormalWeight = 1024;  // of nice 0
};

// The current thread's process. There is always one once the first program has been set up.
inline Process* current_process() { return current_thread()->process; }

// Defined by libposix/signals: whether an unblocked signal waits for the current thread, so that
// an interruptible sleep must end.
bool signal_is_pending();

// Defined by libposix/memory: the current process can get no memory that it needs to go on, and
// dies before its application code runs again.
void kill_for_memory();

}  // namespace coracle
