#include "kernel-min/sched/scheduler.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/panic.h"
#include "kernel-min/lib/seldom.h"
#include "kernel-min/sched/cpu_scheduler.h"
#include "kernel-min/sched/idle.h"
#include "kernel-min/sched/kernel_lock.h"

namespace coracle {

Cpu* cpus[MAX_CPUS];
unsigned cpu_count;

namespace {

constexpr uint64_t kSliceUs = 1'000;
// What a thread that wakes may catch up of what others ran meanwhile.
constexpr uint64_t kWakeCreditUs = kSliceUs;
// What a fair thread is left alone for by equals that wake: they often want what it holds.
constexpr uint64_t kShortestRunUs = 500;
// What a CPU waits awake for another one's thread, if the last wait was no longer: to halt and to
// be interrupted costs about as much.
constexpr uint64_t kIdlePollUs = 50;

IdleWork idle_work;
std::atomic<uint64_t> idle_cpus;  // bit n: CPU n waits for work

uint64_t bit(const Cpu& cpu) {
    return uint64_t{1} << cpu.id;
}

// Some of the above in TSC ticks, as of the latest start of a thread.
struct Ticks {
    uint64_t wake_credit, shortest_run, round_robin_slice, idle_poll;
};
Ticks ticks_of;

void find_ticks() {
    const uint64_t ns_per_mega_tick = tsc_to_ns(1'000'000);
    const uint64_t in_microsecond = ns_per_mega_tick ? 1'000'000'000 / ns_per_mega_tick : 1000;
    ticks_of = {kWakeCreditUs * in_microsecond, kShortestRunUs * in_microsecond,
                kRoundRobinSliceNs / 1000 * in_microsecond, kIdlePollUs * in_microsecond};
}

bool is_fair(const Thread& thread) {
    return thread.key.rank == kFairRank;
}

// `thread` runs, on this CPU or another.
[[gnu::always_inline]] inline void account(Thread& thread, uint64_t now = read_tsc()) {
    const uint64_t ticks = now - thread.started_ticks;
    thread.started_ticks = now;
    thread.run_ticks += ticks;
    thread.slice_ticks += ticks;
    if (is_fair(thread)) thread.key.order += virtual_ticks(ticks, thread.weight);
}

// Whether a round-robin thread has had its share, and another of its rank waits.
bool is_round_over(const Thread& running, const Thread& first) {
    return running.is_round_robin && first.key.rank == running.key.rank &&
           running.slice_ticks >= ticks_of.round_robin_slice;
}

void request_reschedule(Cpu& cpu) {
    cpu.pending.fetch_or(kPendingReschedule);
    if (&cpu != current_cpu()) make_look(cpu);
}

// On the timer's own CPU.
SELDOM void start_slice(Timer& slice_timer) {
    slice_timer.start(monotonic_ns() + kSliceUs * 1000);
}

void start_slice_timer(CpuScheduler& scheduler) {
    if (!scheduler.slice_timer.is_active()) [[unlikely]]
        start_slice(scheduler.slice_timer);
}

// Virtual run time counts from its queue's floor.
void move_to(Cpu& cpu, Thread& thread) {
    if (thread.cpu == &cpu) return;
    if (is_fair(thread)) {
        thread.key.order += cpu.scheduler->ready.floor() - thread.cpu->scheduler->ready.floor();
    }
    thread.cpu = &cpu;
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

void make_ready_on_idle(Cpu& cpu, Thread& thread, uint64_t credit) {
    cpu.scheduler->ready.add_woken(thread, credit);
    if (&cpu == current_cpu()) return;
    idle_cpus &= ~bit(cpu);  // the next one to wake goes elsewhere
    cpu.pending.fetch_or(kPendingWake);
    make_look(cpu);
}

// A thread waits for a CPU that runs another, after which it stands if they are fair.
void make_ready_on_busy(Cpu& cpu, Thread& thread, uint64_t credit) {
    const Thread& running = *cpu.current;
    CpuScheduler& scheduler = *cpu.scheduler;
    // One that was woken and has not come to choose yet: the current thread sleeps, or is the idle
    // one, and must not be charged for that time.
    if (running.run_state != RunState::kRunning) return scheduler.ready.add_woken(thread, credit);
    account(*cpu.current);
    if (is_fair(running)) scheduler.ready.raise_floor(running.key.order);
    scheduler.ready.add_woken(thread, credit);
    const bool is_local = &cpu == current_cpu();
    if (is_local) start_slice_timer(scheduler);
    const bool is_entitled =
        thread.key < running.key &&
        (thread.key.rank != running.key.rank || running.slice_ticks >= ticks_of.shortest_run);
    // Another CPU starts its timer when it looks.
    if (is_entitled || (!is_local && !scheduler.slice_timer.is_active())) request_reschedule(cpu);
}

// For another CPU, which idles, to take a thread from here. One that begins to idle says so and
// then looks for ready threads; here it is the other way round, so one of the two sees the other.
void offer(const Thread& thread) {
    const uint64_t others = online_cpus() & ~bit(*thread.cpu);
    const uint64_t idle = idle_cpus.fetch_or(0) & thread.affinity & others;
    if (!idle) return;
    Cpu& taker = *cpus[__builtin_ctzl(idle)];
    taker.pending.fetch_or(kPendingWake);
    make_look(taker);
}

SELDOM void make_ready_at_large(Thread& thread, uint64_t credit) {
    // Under the lock held locally it stays where it is.
    const bool may_move = !holds_lock_locally();
    if (may_move) move_to(choose_cpu(thread), thread);
    Cpu& cpu = *thread.cpu;
    if (!is_idle(cpu)) {
        make_ready_on_busy(cpu, thread, credit);
        if (!may_move) offer(thread);
        return;
    }
    const bool has_to_wait = !cpu.scheduler->ready.is_empty();
    make_ready_on_idle(cpu, thread, credit);
    if (!may_move && has_to_wait) offer(thread);
}

// Mostly a fair thread is the only one that waits for its CPU, where a fair one wakes it.
void make_ready(Thread& thread, uint64_t credit) {
    thread.run_state = RunState::kReady;
    Cpu& cpu = *thread.cpu;
    CpuScheduler& scheduler = *cpu.scheduler;
    const Thread& running = *cpu.current;
    const uint64_t ticks = read_tsc() - running.started_ticks;  // not accounted yet
    const uint64_t order = running.key.order + virtual_ticks(ticks, running.weight);
    if (cpu_count > 1 || idle_cpus || !is_fair(running) || !is_fair(thread) ||
        scheduler.ready.first() || !scheduler.slice_timer.is_active() ||
        (thread.key.order < order && running.slice_ticks + ticks >= ticks_of.shortest_run)) {
        return make_ready_at_large(thread, credit);
    }
    scheduler.ready.raise_floor(order);
    scheduler.ready.add_only(thread, credit);
}

// Until there is something to look at (true), or it has taken too long. Who wakes this CPU sets
// `pending` and then looks at `looks_soon`; here it is the other way round, so one of the two sees
// the other.
bool poll_for_work(Cpu& cpu, uint64_t start) {
    cpu.looks_soon.store(true);
    while (!cpu.pending.load(std::memory_order_relaxed) &&
           read_tsc() - start < cpu.scheduler->poll_ticks) {
        asm volatile("pause");
    }
    cpu.looks_soon.store(false);
    return cpu.pending.load() & kPendingInterrupts;
}

// What a look without the lock tells: it may change at once.
bool others_have_ready_threads(const Cpu& cpu) {
    for (unsigned i = 0; i < cpu_count; i++) {
        if (cpus[i] != &cpu && !cpus[i]->scheduler->ready.is_empty()) return true;
    }
    return false;
}

// A ready thread of a busier CPU, for one that has none. The kernel lock is held alone afterwards,
// and one of its own may have become ready.
Thread* steal(Cpu& thief) {
    hold_alone();
    if (Thread* own = thief.scheduler->ready.take_first()) return own;
    for (unsigned i = 1; i < cpu_count; i++) {
        Cpu& victim = *cpus[(thief.id + i) % cpu_count];
        Thread* thread = victim.scheduler->ready.take_if([&](const Thread& candidate) {
            return (candidate.affinity & bit(thief)) && victim.current != &candidate;
        });
        if (!thread) continue;
        move_to(thief, *thread);
        return thread;
    }
    return nullptr;
}

// Waits for an interrupt. The kernel lock is free meanwhile.
void halt() {
    if (idle_work && idle_work()) return;
    if (cpu_count > 1) unlock_kernel();
    idle();
    if (cpu_count > 1) lock_kernel_locally();
}

void begin_to_idle(Cpu& cpu) {
    idle_cpus |= bit(cpu);
}

// The CPU idles for others until here, even while it waits for the lock.
void stop_idling(Cpu& cpu) {
    idle_cpus &= ~bit(cpu);
    if (!cpu.flush_before_use) return;
    cpu.flush_before_use = false;
    core::load_page_table(cpu.page_table);
}

// Waits for a thread to run, in the context of one that cannot.
SELDOM Thread& wait_for_work(Cpu& cpu) {
    for (;;) {
        begin_to_idle(cpu);
        cpu.scheduler->poll_ticks = ticks_of.idle_poll;
        handle_pending_interrupts();
        Thread* next = cpu.scheduler->ready.take_first();
        if (!next && others_have_ready_threads(cpu)) next = steal(cpu);
        if (next) {
            stop_idling(cpu);
            return *next;
        }
        halt();
    }
}

void begin_run(Thread& thread, uint64_t now) {
    thread.run_state = RunState::kRunning;
    thread.slice_ticks = 0;
    thread.started_ticks = now;
}

void run(Thread& next, uint64_t now) {
    begin_run(next, now);
    CpuScheduler& scheduler = current_scheduler();
    if (!scheduler.ready.is_empty()) start_slice_timer(scheduler);
    if (&next != current_thread()) return switch_to(next);
    resume_lock();
}

// The current thread, accounted and not among the ready unless it may go on, makes room.
[[gnu::noinline]] void run_next(uint64_t now) {
    Cpu& cpu = *current_cpu();
    if (Thread* next = cpu.scheduler->ready.take_first()) return run(*next, now);
    Thread& next = wait_for_work(cpu);
    run(next, read_tsc());
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

void make_look(Cpu& cpu) {
    if (!cpu.looks_soon.load()) core::send_interrupt(cpu, WAKE_VECTOR);
}

void set_idle_work(IdleWork work) {
    idle_work = work;
}

void idle() {
    CpuScheduler& scheduler = current_scheduler();
    scheduler.idle_since = read_tsc();
    if (!scheduler.may_poll || !poll_for_work(*current_cpu(), scheduler.idle_since)) core::halt();
    const uint64_t ticks = read_tsc() - scheduler.idle_since;
    scheduler.may_poll = cpu_count > 1 && ticks < scheduler.poll_ticks;
    scheduler.idle_ticks += ticks;
    scheduler.idle_since = 0;
}

// The thread's CPU is to wake it, because it may be about to change the thread itself.
SELDOM void post_wake(Thread& thread) {
    if (thread.wake_is_posted.exchange(true)) return;
    Cpu& cpu = *thread.cpu;
    Thread* first = cpu.posted_wakes.load();
    do {
        thread.next_posted = first;
    } while (!cpu.posted_wakes.compare_exchange_weak(first, &thread));
    cpu.pending.fetch_or(kPendingPostedWakes);
    make_look(cpu);
}

void take_posted_wakes(Cpu& cpu) {
    Thread* next = cpu.posted_wakes.exchange(nullptr);
    while (next) {
        Thread& thread = *next;
        next = thread.next_posted;
        thread.wake_is_posted.store(false);
        wake(thread);
    }
}

void wake(Thread& thread) {
    if (holds_lock_locally() && thread.cpu != current_cpu()) [[unlikely]] return post_wake(thread);
    thread.woken = true;
    if (thread.run_state == RunState::kSleeping) make_ready(thread, ticks_of.wake_credit);
}

void note_signal(Thread& thread) {
    Cpu& cpu = *thread.cpu;
    if (cpu.current != &thread) {
        thread.signal_noted = true;
    } else {
        cpu.pending.fetch_or(kPendingSignal);
        const bool is_elsewhere = &cpu != current_cpu() && thread.run_state == RunState::kRunning;
        if (is_elsewhere) make_look(cpu);
    }
    wake(thread);
}

void start_thread(Thread& thread) {
    find_ticks();
    make_ready(thread, 0);
}

void sleep_until_wake() {
    Thread& thread = *current_thread();
    const uint64_t now = read_tsc();
    account(thread, now);
    thread.run_state = RunState::kSleeping;
    thread.voluntary_switches++;
    Thread* next = current_scheduler().ready.take_only();
    if (!next) return run_next(now);
    begin_run(*next, now);
    switch_to(*next);
}

void yield() {
    Thread& thread = *current_thread();
    RunQueue& ready = current_scheduler().ready;
    const Thread* first = ready.first();
    if (!first || first->key.rank > thread.key.rank) return;
    const uint64_t now = read_tsc();
    account(thread, now);
    Thread* next = ready.take_first();
    thread.run_state = RunState::kReady;
    thread.voluntary_switches++;
    ready.add_preempted(thread, true);
    run(*next, now);
}

void reschedule() {
    Thread& thread = *current_thread();
    Cpu& cpu = *current_cpu();
    const uint64_t now = read_tsc();
    account(thread, now);
    if (!(thread.affinity & bit(cpu))) {
        thread.involuntary_switches++;
        thread.run_state = RunState::kSleeping;
        cpu.scheduler->leaving_thread = &thread;
        cpu.has_leftovers = true;
        return run(*cpu.scheduler->idle_thread, now);
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
    run_next(now);
}

void end_current_thread() {
    Thread& thread = *current_thread();
    // It is in no queue any more, so nobody posts another one.
    for (unsigned i = 0; thread.wake_is_posted && i < cpu_count; i++) take_posted_wakes(*cpus[i]);
    const uint64_t now = read_tsc();
    account(thread, now);
    thread.run_state = RunState::kExited;
    current_scheduler().exited_thread = &thread;
    current_cpu()->has_leftovers = true;
    run_next(now);
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

void halt_unless_ready() {
    Thread& thread = *current_thread();
    Cpu& cpu = *current_cpu();
    if (!cpu.scheduler->ready.is_empty()) return;
    account(thread);
    begin_to_idle(cpu);
    halt();
    stop_idling(cpu);
    thread.started_ticks = read_tsc();  // it did not run meanwhile
    resume_lock();
}

void run_others() {
    for (;;) {
        current_thread()->run_state = RunState::kSleeping;
        run_next(read_tsc());
    }
}

}  // namespace coracle
