#include "kernel-min/sched/scheduler.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/panic.h"
#include "kernel-min/sched/cpu_scheduler.h"
#include "kernel-min/sched/idle.h"
#include "kernel-min/sched/kernel_lock.h"

namespace coracle {

Cpu* cpus[MAX_CPUS];
unsigned cpu_count;

namespace {

constexpr uint64_t kSliceNs = 1'000'000;
// What a fair thread is left alone for by equals that wake: they often want what it holds.
constexpr uint64_t kShortestRunNs = 500'000;

IdleWork idle_work;
uint64_t idle_cpus;  // bit n: CPU n waits for work

uint64_t bit(const Cpu& cpu) {
    return uint64_t{1} << cpu.id;
}

uint64_t ticks_of(uint64_t ns) {
    static uint64_t ticks_per_microsecond = 0;
    if (!ticks_per_microsecond) [[unlikely]] {
        const uint64_t ns_per_mega_tick = tsc_to_ns(1'000'000);
        ticks_per_microsecond = ns_per_mega_tick ? 1'000'000'000 / ns_per_mega_tick : 1000;
    }
    return ns / 1000 * ticks_per_microsecond;
}

bool is_fair(const Thread& thread) {
    return thread.key.rank == kFairRank;
}

// `thread` runs, on this CPU or another.
void account(Thread& thread) {
    const uint64_t now = read_tsc();
    const uint64_t ticks = now - thread.started_ticks;
    thread.started_ticks = now;
    thread.run_ticks += ticks;
    thread.slice_ticks += ticks;
    if (is_fair(thread)) thread.key.order += virtual_ticks(ticks, thread.weight);
}

// Whether a round-robin thread has had its share, and another of its rank waits.
bool is_round_over(const Thread& running, const Thread& first) {
    return running.is_round_robin && first.key.rank == running.key.rank &&
           running.slice_ticks >= ticks_of(kRoundRobinSliceNs);
}

void request_reschedule(Cpu& cpu) {
    cpu.pending.fetch_or(kPendingReschedule);
    if (&cpu != current_cpu()) core::send_interrupt(cpu, WAKE_VECTOR);
}

// On the timer's own CPU.
void start_slice_timer(CpuScheduler& scheduler) {
    if (!scheduler.slice_timer.is_active()) {
        scheduler.slice_timer.start(monotonic_ns() + kSliceNs);
    }
}

// A thread has become ready on a CPU that runs another: whether that one should make room.
void consider_preemption(Cpu& cpu, const Thread& woken) {
    const Thread& running = *cpu.current;
    const bool is_entitled =
        woken.key < running.key &&
        (!is_fair(woken) || !is_fair(running) || running.slice_ticks >= ticks_of(kShortestRunNs));
    const bool is_local = &cpu == current_cpu();
    if (is_local) start_slice_timer(*cpu.scheduler);
    // Another CPU starts its timer when it looks.
    if (is_entitled || (!is_local && !cpu.scheduler->slice_timer.is_active())) {
        request_reschedule(cpu);
    }
}

// Where a thread that wakes should run.
Cpu& choose_cpu(const Thread& thread) {
    Cpu& last = *thread.cpu;
    if (last.current == &thread) return last;  // it idles on this thread's stack
    const uint64_t allowed = thread.affinity & online_cpus();
    const uint64_t idle = idle_cpus & allowed;
    if (idle & bit(last)) return last;
    if (idle) return *cpus[__builtin_ctzl(idle)];
    return allowed & bit(last) ? last : *cpus[__builtin_ctzl(allowed)];
}

// Virtual run time counts from its queue's floor.
void move_key(Thread& thread, const RunQueue& from, const RunQueue& to) {
    if (&from != &to && is_fair(thread)) thread.key.order += to.floor() - from.floor();
}

void move_to(Cpu& cpu, Thread& thread) {
    move_key(thread, thread.cpu->scheduler->ready, cpu.scheduler->ready);
    thread.cpu = &cpu;
}

void make_ready(Thread& thread, uint64_t credit_ns) {
    if (cpu_count > 1) move_to(choose_cpu(thread), thread);
    Cpu& cpu = *thread.cpu;
    RunQueue& ready = cpu.scheduler->ready;
    thread.run_state = RunState::kReady;
    const bool is_busy = !is_idle(cpu);
    if (is_busy && is_fair(*cpu.current)) {
        account(*cpu.current);
        ready.raise_floor(cpu.current->key.order);
    }
    ready.add_woken(thread, credit_ns ? ticks_of(credit_ns) : 0);
    if (is_busy) return consider_preemption(cpu, thread);
    if (&cpu == current_cpu()) return;
    idle_cpus &= ~bit(cpu);  // the next one to wake goes elsewhere
    core::send_interrupt(cpu, WAKE_VECTOR);
}

// A ready thread of a busier CPU, for one that has none.
Thread* steal(Cpu& thief) {
    for (unsigned i = 1; i < cpu_count; i++) {
        Cpu& victim = *cpus[(thief.id + i) % cpu_count];
        Thread* thread = victim.scheduler->ready.take_if([&](const Thread& candidate) {
            return (candidate.affinity & bit(thief)) && victim.current != &candidate;
        });
        if (!thread) continue;
        move_key(*thread, victim.scheduler->ready, thief.scheduler->ready);
        return thread;
    }
    return nullptr;
}

// Waits for a thread to run, in the context of one that cannot.
Thread& wait_for_work(Cpu& cpu) {
    for (;;) {
        idle_cpus |= bit(cpu);
        handle_pending_interrupts();
        Thread* next = cpu.scheduler->ready.take_first();
        if (!next && cpu_count > 1) next = steal(cpu);
        if (next) {
            idle_cpus &= ~bit(cpu);
            return *next;
        }
        if (idle_work && idle_work()) continue;
        if (cpu_count > 1) unlock_kernel();
        idle();
        if (cpu_count > 1) lock_kernel();
        if (cpu.flush_before_use) {
            cpu.flush_before_use = false;
            core::load_page_table(cpu.page_table);
        }
    }
}

void run(Thread& next) {
    next.run_state = RunState::kRunning;
    next.slice_ticks = 0;
    next.started_ticks = read_tsc();
    CpuScheduler& scheduler = current_scheduler();
    if (!scheduler.ready.is_empty()) start_slice_timer(scheduler);
    if (&next != current_thread()) switch_to(next);
}

// The current thread, accounted and not among the ready unless it may go on, makes room.
void run_next() {
    Cpu& cpu = *current_cpu();
    Thread* next = cpu.scheduler->ready.take_first();
    run(next ? *next : wait_for_work(cpu));
}

}  // namespace

void CpuScheduler::on_slice_end(void* context) {
    Cpu& cpu = *static_cast<Cpu*>(context);
    CpuScheduler& scheduler = *cpu.scheduler;
    const Thread* first = scheduler.ready.first();
    if (!first || is_idle(cpu)) return;
    start_slice_timer(scheduler);
    Thread& running = *cpu.current;
    account(running);
    if (first->key < running.key || is_round_over(running, *first)) request_reschedule(cpu);
}

TimerQueue& current_timer_queue() {
    return current_scheduler().timers;
}

bool is_idle(const Cpu& cpu) {
    return idle_cpus & bit(cpu);
}

uint64_t online_cpus() {
    return cpu_count == MAX_CPUS ? ~uint64_t{0} : (uint64_t{1} << cpu_count) - 1;
}

uint64_t idle_tsc_ticks(const Cpu& cpu) {
    const CpuScheduler& scheduler = *cpu.scheduler;
    return scheduler.idle_ticks + (scheduler.idle_since ? read_tsc() - scheduler.idle_since : 0);
}

void set_idle_work(IdleWork work) {
    idle_work = work;
}

void idle() {
    CpuScheduler& scheduler = current_scheduler();
    scheduler.idle_since = read_tsc();
    core::halt();
    scheduler.idle_ticks += read_tsc() - scheduler.idle_since;
    scheduler.idle_since = 0;
}

void wake(Thread& thread) {
    thread.woken = true;
    if (thread.run_state == RunState::kSleeping) make_ready(thread, kSliceNs);
}

void note_signal(Thread& thread) {
    Cpu& cpu = *thread.cpu;
    if (cpu.current != &thread) {
        thread.signal_noted = true;
    } else {
        cpu.pending.fetch_or(kPendingSignal);
        const bool is_elsewhere = &cpu != current_cpu() && thread.run_state == RunState::kRunning;
        if (is_elsewhere) core::send_interrupt(cpu, WAKE_VECTOR);
    }
    wake(thread);
}

void start_thread(Thread& thread) {
    make_ready(thread, 0);
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
    RunQueue& ready = current_scheduler().ready;
    const Thread* first = ready.first();
    if (!first || first->key.rank > thread.key.rank) return;
    account(thread);
    Thread* next = ready.take_first();
    thread.run_state = RunState::kReady;
    thread.voluntary_switches++;
    ready.add_preempted(thread, true);
    run(*next);
}

void reschedule() {
    Thread& thread = *current_thread();
    Cpu& cpu = *current_cpu();
    account(thread);
    if (!(thread.affinity & bit(cpu))) {
        thread.involuntary_switches++;
        thread.run_state = RunState::kSleeping;
        cpu.scheduler->leaving_thread = &thread;
        return run(*cpu.scheduler->idle_thread);
    }
    RunQueue& ready = cpu.scheduler->ready;
    const Thread* first = ready.first();
    const bool is_over = first && is_round_over(thread, *first);
    if (!first || (!is_over && !(first->key < thread.key))) {
        if (first) start_slice_timer(*cpu.scheduler);
        return;
    }
    thread.run_state = RunState::kReady;
    thread.involuntary_switches++;
    ready.add_preempted(thread, is_over);
    run_next();
}

void end_current_thread() {
    Thread& thread = *current_thread();
    account(thread);
    thread.run_state = RunState::kExited;
    current_scheduler().exited_thread = &thread;
    run_next();
    panic("a thread that ended runs again");
}

void set_entitlement(Thread& thread, uint32_t rank, uint32_t weight) {
    RunQueue& ready = thread.cpu->scheduler->ready;
    const bool is_ready = thread.run_state == RunState::kReady;
    if (is_ready) ready.remove(thread);
    if (thread.run_state == RunState::kRunning) account(thread);
    if (rank == kFairRank && !is_fair(thread)) thread.key.order = ready.floor();
    thread.key.rank = rank;
    thread.weight = weight;
    if (is_ready) ready.add_woken(thread, 0);
    if (ready.first() && !is_idle(*thread.cpu)) request_reschedule(*thread.cpu);
}

void set_affinity(Thread& thread, uint64_t affinity) {
    thread.affinity = affinity;
    if (affinity & bit(*thread.cpu)) return;
    // One that sleeps on the stack that its CPU idles on would go on there.
    if (thread.cpu->current == &thread) return request_reschedule(*thread.cpu);
    if (thread.run_state != RunState::kReady) return;
    thread.cpu->scheduler->ready.remove(thread);
    make_ready(thread, 0);
}

uint64_t run_ticks(const Thread& thread) {
    const bool is_running = thread.run_state == RunState::kRunning;
    return thread.run_ticks + (is_running ? read_tsc() - thread.started_ticks : 0);
}

void run_others() {
    for (;;) {
        current_thread()->run_state = RunState::kSleeping;
        run_next();
    }
}

}  // namespace coracle
