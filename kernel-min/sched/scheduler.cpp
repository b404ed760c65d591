#include "kernel-min/sched/scheduler.h"

#include <cstring>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/idle.h"
#include "kernel-min/sched/run_queue.h"
#include "kernel-min/sched/timer_queue.h"

extern "C" {
void switch_stacks(uint64_t* save, uint64_t load);  // sched/switch.S
void finish_switch();
extern char first_run[], call_exit_check[];
}

namespace coracle {
namespace {

constexpr uint64_t kSliceNs = 3'000'000;
constexpr uint64_t kWakeUpGranularityNs = 1'000'000;

void on_slice_end(void*);

RunQueue run_queue;
Timer slice_timer(on_slice_end, nullptr);
Thread* exited_thread;  // until another one's stack is in use
bool is_idle;

uint64_t ticks_of(uint64_t ns) {
    // A power of two near the rate is good enough for entitlements.
    static uint64_t ticks_per_microsecond = 0;
    if (!ticks_per_microsecond) {
        const uint64_t ns_per_mega_tick = tsc_to_ns(1'000'000);
        ticks_per_microsecond = ns_per_mega_tick ? 1'000'000'000 / ns_per_mega_tick : 1000;
    }
    return ns * ticks_per_microsecond / 1000;
}

bool is_fair(const Thread& thread) { return thread.key.rank == kFairRank; }

void account(Thread& thread) {
    const uint64_t now = read_tsc();
    const uint64_t ticks = now - thread.started_ticks;
    thread.started_ticks = now;
    thread.run_ticks += ticks;
    thread.slice_ticks += ticks;
    if (is_fair(thread)) thread.key.order += virtual_ticks(ticks, thread.weight);
}

void request_reschedule() {
    current_cpu()->pending.fetch_or(kPendingReschedule, std::memory_order_relaxed);
}

void start_slice_timer() {
    if (!slice_timer.is_active()) slice_timer.start(monotonic_ns() + kSliceNs);
}

void on_slice_end(void*) {
    const Thread* first = run_queue.first();
    if (!first) return;
    start_slice_timer();
    if (is_idle) return;
    Thread& thread = *current_thread();
    account(thread);
    if (first->key < thread.key) request_reschedule();
}

// A thread has become ready: whether the running one should make room for it.
void consider_preemption(const Thread& woken) {
    if (is_idle) return;
    start_slice_timer();
    Thread& running = *current_thread();
    RunKey key = woken.key;
    if (is_fair(woken)) {
        if (is_fair(running)) account(running);
        key.order += virtual_ticks(ticks_of(kWakeUpGranularityNs), woken.weight);
    }
    if (key < running.key) request_reschedule();
}

// Whether the thread entered the kernel by a C call, which may lose the vector registers: the
// frame in syscall-table/entry.S, with its own application stack pointer and return address.
bool called_as_c_function(const Thread& thread) {
    const auto* top = reinterpret_cast<const uint64_t*>(thread.kernel_stack_top);
    return top[-1] != 0 && top[-9] == reinterpret_cast<uint64_t>(call_exit_check);
}

uint64_t read_fs_base() {
    uint64_t base;
    asm volatile("rdfsbase %0" : "=r"(base));
    return base;
}

void switch_to(Thread& next) {
    Thread& previous = *current_thread();
    Cpu* cpu = current_cpu();
    const uint32_t pending =
        cpu->pending.fetch_and(~(kPendingSignal | kPendingReschedule), std::memory_order_relaxed);
    previous.signal_noted = pending & kPendingSignal;
    if (next.signal_noted) cpu->pending.fetch_or(kPendingSignal, std::memory_order_relaxed);

    const bool is_c_call = called_as_c_function(previous);
    if (is_c_call) {
        previous.vector_state.save_control();
    } else if (previous.run_state != RunState::kExited) {
        previous.vector_state.save_all();
    }
    next.vector_state.restore(!is_c_call);
    previous.fs_base = read_fs_base();
    asm volatile("wrfsbase %0" ::"r"(next.fs_base));

    cpu->current = &next;
    cpu->kernel_stack_top = next.kernel_stack_top;
    switch_stacks(&previous.stack_pointer, next.stack_pointer);
    finish_switch();
}

// The current thread, accounted and not among the ready unless it may go on, makes room.
void run_next() {
    Thread* next = run_queue.take_first();
    while (!next) {
        is_idle = true;
        handle_pending_interrupts();
        next = run_queue.take_first();
        if (!next) idle();
    }
    is_idle = false;
    next->run_state = RunState::kRunning;
    next->slice_ticks = 0;
    next->started_ticks = read_tsc();
    if (next != current_thread()) switch_to(*next);
}

}  // namespace

void wake(Thread& thread) {
    thread.woken = true;
    if (thread.run_state != RunState::kSleeping) return;
    thread.run_state = RunState::kReady;
    run_queue.add_woken(thread, ticks_of(kSliceNs));
    consider_preemption(thread);
}

void sleep_until_wake() {
    Thread& thread = *current_thread();
    account(thread);
    thread.run_state = RunState::kSleeping;
    thread.voluntary_switches++;
    run_next();
}

void yield() {
    Thread& thread = *current_thread();
    const Thread* first = run_queue.first();
    if (!first || first->key.rank > thread.key.rank) return;
    account(thread);
    Thread* next = run_queue.take_first();
    thread.run_state = RunState::kReady;
    thread.voluntary_switches++;
    run_queue.add_preempted(thread, true);
    next->run_state = RunState::kRunning;
    next->slice_ticks = 0;
    next->started_ticks = thread.started_ticks;
    switch_to(*next);
}

void reschedule() {
    Thread& thread = *current_thread();
    account(thread);
    const Thread* first = run_queue.first();
    if (!first || !(first->key < thread.key)) return;
    thread.run_state = RunState::kReady;
    thread.involuntary_switches++;
    run_queue.add_preempted(thread, false);
    run_next();
}

Result<Thread*> create_thread(const TrapFrame& frame, uint64_t fs_base) {
    auto thread = TRY(make_unique_object<Thread>());
    thread->kernel_stack_top = TRY(allocate_kernel_stack());
    if (auto allocated = thread->vector_state.allocate(); !allocated.ok()) {
        discard_thread(thread.release());
        return allocated.error();
    }
    thread->vector_state.save_all();
    thread->fs_base = fs_base;
    const Thread& parent = *current_thread();
    thread->key = parent.key;
    thread->weight = parent.weight;

    // From the top down: the mark of a trap's frame, the frame, and what switch_stacks takes.
    auto* words = reinterpret_cast<uint64_t*>(thread->kernel_stack_top);
    *--words = 0;
    words -= sizeof(TrapFrame) / sizeof(uint64_t);
    memcpy(words, &frame, sizeof(frame));
    *--words = reinterpret_cast<uint64_t>(first_run);
    constexpr unsigned kSavedRegisters = 6;
    for (unsigned i = 0; i < kSavedRegisters; i++) *--words = 0;
    thread->stack_pointer = reinterpret_cast<uint64_t>(words);
    return thread.release();
}

void start_thread(Thread& thread) {
    thread.run_state = RunState::kReady;
    run_queue.add_woken(thread, 0);
    consider_preemption(thread);
}

void discard_thread(Thread* thread) {
    free_kernel_stack(thread->kernel_stack_top);
    thread->vector_state.release();
    delete thread;
}

void end_current_thread() {
    Thread& thread = *current_thread();
    account(thread);
    thread.run_state = RunState::kExited;
    exited_thread = &thread;
    run_next();
    panic("a thread that ended runs again");
}

void set_entitlement(Thread& thread, uint32_t rank, uint32_t weight) {
    const bool is_ready = thread.run_state == RunState::kReady;
    if (is_ready) run_queue.remove(thread);
    if (thread.run_state == RunState::kRunning) account(thread);
    if (rank == kFairRank && !is_fair(thread)) thread.key.order = run_queue.floor();
    thread.key.rank = rank;
    thread.weight = weight;
    if (is_ready) run_queue.add_woken(thread, 0);
    if (run_queue.first()) request_reschedule();
}

uint64_t run_ticks(const Thread& thread) {
    const bool is_running = thread.run_state == RunState::kRunning;
    return thread.run_ticks + (is_running ? read_tsc() - thread.started_ticks : 0);
}

}  // namespace coracle

// On the stack of the thread that runs now, after each switch.
extern "C" void finish_switch() {
    using namespace coracle;
    if (!exited_thread) return;
    discard_thread(exited_thread);
    exited_thread = nullptr;
}
