#include "kernel-min/sched/tests/model_machine.h"

#include <asm/prctl.h>
#include <sanitizer/tsan_interface.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/devices/clock_measurement.h"
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/kernel_map.h"

namespace coracle {
namespace {

struct HostSide {  // of a CPU
    std::atomic<uint64_t> timer_ns{0};  // when its timer fires; 0: never
    ucontext_t home = {};               // the host thread that it is
    void* home_fiber = nullptr;
};
HostSide host_sides[MAX_CPUS];
std::atomic<unsigned> live_threads;
std::atomic<bool> is_over;

void switch_sanitizer(void* fiber) {
    __tsan_switch_to_fiber(fiber, 0);
}

void look_at_timer(Cpu& cpu) {
    std::atomic<uint64_t>& timer = host_sides[cpu.id].timer_ns;
    uint64_t due = timer.load(std::memory_order_relaxed);
    if (due == 0 || monotonic_ns() < due) return;
    if (timer.compare_exchange_strong(due, 0, std::memory_order_relaxed)) {
        cpu.pending.fetch_or(kPendingTimer, std::memory_order_relaxed);
    }
}

// The CPU's host thread goes back to where it became one.
[[noreturn]] void switch_off(Cpu& cpu) {
    HostSide& host = host_sides[cpu.id];
    ucontext_t left;
    switch_sanitizer(host.home_fiber);
    swapcontext(&left, &host.home);
    abort();
}

void finish_switch() {
    CpuScheduler& scheduler = current_scheduler();
    current_cpu()->has_leftovers = false;
    scheduler.exited_thread = nullptr;  // the machine owns it
    if (Thread* leaving = std::exchange(scheduler.leaving_thread, nullptr)) start_thread(*leaving);
}

bool take_pending(uint32_t bit) {
    return current_cpu()->pending.fetch_and(~bit, std::memory_order_relaxed) & bit;
}

}  // namespace

// --- What the scheduler and the lock stand on.

namespace core {

void halt(uint32_t awaited) {
    Cpu& cpu = *current_cpu();
    for (;;) {
        look_at_timer(cpu);
        if (cpu.pending.load(std::memory_order_relaxed) & awaited) return;
        const bool has_the_lock_queue = awaited == kPendingWake;
        if (!has_the_lock_queue && is_over.load(std::memory_order_relaxed)) switch_off(cpu);
        sched_yield();
    }
}

void send_interrupt(const Cpu& cpu, uint8_t vector) {
    if (vector != WAKE_VECTOR) abort();
    cpus[cpu.id]->pending.fetch_or(kPendingWake, std::memory_order_relaxed);
}

void load_page_table(uint64_t) {}

}  // namespace core

uint64_t monotonic_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}
bool timer_measures_clock() {
    return false;
}
uint64_t tsc_to_ns(uint64_t ticks) {
    return ticks / 2;
}
void arm_clock_timer(uint64_t nanoseconds) {
    host_sides[current_cpu()->id].timer_ns.store(nanoseconds ? monotonic_ns() + nanoseconds : 0,
                                                 std::memory_order_relaxed);
}
bool refill_stack_reserve(Cpu&) {
    return true;
}
void kill_for_memory() {
    abort();
}
void panic(const char* message) {
    fprintf(stderr, "panic: %s\n", message);
    abort();
}
void panic_assertion(const char* expression, const char* file, int line) {
    fprintf(stderr, "%s:%d: %s\n", file, line, expression);
    abort();
}

bool signal_is_pending() {
    const bool is_noted =
        current_cpu()->pending.load(std::memory_order_relaxed) & kPendingSignal;
    return is_noted && model::self().has_signal;
}

// sched/thread_switch.cpp without registers.
void switch_to(Thread& next) {
    auto& previous = static_cast<model::ModelThread&>(*current_thread());
    Cpu& cpu = *current_cpu();
    const uint32_t pending = cpu.pending.fetch_and(
        ~(kPendingSignal | kPendingReschedule | kPendingSequence), std::memory_order_relaxed);
    previous.signal_noted = pending & kPendingSignal;
    if (next.signal_noted) cpu.pending.fetch_or(kPendingSignal, std::memory_order_relaxed);
    cpu.current = &next;
    static_cast<model::ModelThread&>(next).fiber.enter(previous.fiber.context);
    finish_switch();
    resume_lock();
    note_if_misplaced();
}

namespace model {
namespace {

void run_program() {
    finish_switch();
    leave_kernel();
    self().program(self().random);
    enter_kernel();
    self().doing = "no more";
    if (live_threads.fetch_sub(1, std::memory_order_relaxed) == 1) {
        is_over.store(true, std::memory_order_relaxed);
    }
    end_current_thread();
}

void run_idle_thread() {
    enter_kernel();
    run_others();
}

}  // namespace

Fiber::Fiber(void (*entry)()) : sanitizer_fiber_(__tsan_create_fiber(0)) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack_.get();
    context.uc_stack.ss_size = kStackSize;
    makecontext(&context, entry, 0);
}

Fiber::~Fiber() { __tsan_destroy_fiber(sanitizer_fiber_); }

void Fiber::enter(ucontext_t& from) {
    switch_sanitizer(sanitizer_fiber_);
    swapcontext(&from, &context);
}

struct Machine::Processor {
    explicit Processor(unsigned id) : scheduler(cpu), idle(run_idle_thread, {}, 0) {
        cpu.self = &cpu;
        cpu.id = id;
        cpu.scheduler = &scheduler;
        cpu.current = scheduler.idle_thread = &idle;
        idle.cpu = &cpu;
        idle.run_state = RunState::kSleeping;
    }
    Cpu cpu = {};
    CpuScheduler scheduler;
    ModelThread idle;
    std::thread host;
};

Machine::Machine(unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        processors_.push_back(std::make_unique<Processor>(i));
        cpus[i] = &processors_[i]->cpu;
        host_sides[i].timer_ns = 0;
    }
    cpu_count = count;
    live_threads = 0;
    is_over = false;
}

// On a thread that is no CPU, where timers are cancelled nevertheless.
Machine::~Machine() {
    static Cpu nobody;
    syscall(SYS_arch_prctl, ARCH_SET_GS, &nobody);
}

ModelThread& Machine::add_thread(std::function<void(Random&)> program) {
    const auto seed = static_cast<unsigned>(threads_.size()) + 1;
    threads_.push_back(std::make_unique<ModelThread>(run_program, std::move(program), seed));
    ModelThread& thread = *threads_.back();
    thread.cpu = cpus[seed % cpu_count];
    thread.run_state = RunState::kSleeping;
    live_threads++;
    return thread;
}

void Machine::run_cpu(Processor& processor) {
    syscall(SYS_arch_prctl, ARCH_SET_GS, &processor.cpu);
    HostSide& host = host_sides[processor.cpu.id];
    host.home_fiber = __tsan_get_current_fiber();
    if (processor.cpu.id == 0) {
        enter_kernel();
        for (auto& thread : threads_) start_thread(*thread);
        if (cpu_count > 1) unlock_kernel();
    }
    processor.idle.fiber.enter(host.home);
}

void Machine::run(unsigned seconds) {
    for (auto& processor : processors_) {
        processor->host = std::thread([this, &processor] { run_cpu(*processor); });
    }
    const uint64_t end = monotonic_ns() + uint64_t{seconds} * 1'000'000'000;
    while (!is_over && monotonic_ns() < end) usleep(1000);
    if (!is_over) report();
    for (auto& processor : processors_) processor->host.join();
}

// Reads without the lock, which may be what hangs: then the process ends.
void Machine::report() const {
    for (const auto& processor : processors_) {
        const Cpu& cpu = processor->cpu;
        fprintf(stderr, "CPU %u: pending %#x, holds the lock %d, is idle %d, ready %d\n", cpu.id,
                cpu.pending.load(), static_cast<int>(cpu.lock_hold.load()), is_idle(cpu),
                !processor->scheduler.ready.is_empty());
    }
    for (size_t i = 0; i < threads_.size(); i++) {
        fprintf(stderr, "thread %zu: state %d on CPU %u, woken %d, does %s\n", i,
                static_cast<int>(threads_[i]->run_state), threads_[i]->cpu->id, threads_[i]->woken,
                threads_[i]->doing);
    }
    _exit(1);
}

ModelThread& self() { return static_cast<ModelThread&>(*current_thread()); }

void enter_kernel() {
    self().home = nullptr;
    if (cpu_count > 1) lock_kernel();
}

void enter_kernel_at(const uint32_t& home) {
    self().home = nullptr;
    if (cpu_count == 1) return;
    lock_kernel_locally();
    if (home != current_cpu()->id) return hold_alone();
    self().home = &home;
}

// syscall-table/entry.cpp: the bits are looked at once more after all is done.
void leave_kernel() {
    self().home = nullptr;
    do {
        handle_pending_interrupts();
        become_alone();
        if (take_pending(kPendingReschedule)) reschedule();
        if (take_pending(kPendingSignal)) self().has_signal = false;
        take_pending(kPendingSequence);
    } while (current_cpu()->pending.load(std::memory_order_relaxed));
    if (cpu_count > 1) unlock_kernel();
}

void look_for_interrupts() {
    look_at_timer(*current_cpu());
    if (!current_cpu()->pending.load(std::memory_order_relaxed)) return;
    enter_kernel();
    leave_kernel();
}

void send_model_signal(ModelThread& thread) {
    thread.has_signal = true;
    note_signal(thread);
}

}  // namespace model
}  // namespace coracle
