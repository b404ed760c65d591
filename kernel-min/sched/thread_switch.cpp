// From one thread to another, and the threads' making and end.
#include <cstring>
#include <memory>
#include <utility>

#include "kernel-min/core/gates.h"
#include "kernel-min/lib/seldom.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/cpu_scheduler.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/scheduler.h"

extern "C" {
void switch_stacks(uint64_t* save, uint64_t load);  // sched/switch.S
void finish_switch();
extern char first_run[], first_kernel_run[], short_c_call_return[], long_c_call_return[],
    syscall_call_return[];
}

namespace coracle {
namespace {

// Whether the thread entered the kernel by a C call, which may lose the vector registers: the
// frames of syscall-table/entry.S, with their own application stack pointer and return address.
bool called_as_c_function(const Thread& thread) {
    const auto* top = reinterpret_cast<const uint64_t*>(thread.kernel_stack_top);
    if (top[-1] == 0) return false;
    auto is = [](uint64_t word, const char* place) {
        return word == reinterpret_cast<uint64_t>(place);
    };
    // In a system call's frame the shorter frame's place holds what the program likes.
    if (is(top[-9], syscall_call_return)) return false;
    return is(top[-7], short_c_call_return) || is(top[-9], long_c_call_return);
}

// Whether the thread is in the kernel without having called it.
bool is_interrupted(const Thread& thread) {
    const auto* top = reinterpret_cast<const uint64_t*>(thread.kernel_stack_top);
    if (top[-1] != 0) return false;
    const auto* frame = reinterpret_cast<const TrapFrame*>(top - 1) - 1;
    return frame->vector != kTrapSyscall;
}

constexpr uint32_t kOfThread = kPendingSignal | kPendingReschedule | kPendingSequence;

// What waits for the thread does so no more for the CPU that it leaves.
SELDOM void move_pending(Cpu& cpu, Thread& thread, uint32_t pending) {
    if (pending & kOfThread) cpu.pending.fetch_and(~kOfThread, std::memory_order_relaxed);
    thread.signal_noted = pending & kPendingSignal;
    if ((pending & kPendingSequence) || is_interrupted(thread)) thread.sequence_ended = true;
}

uint64_t read_fs_base() {
    uint64_t base;
    asm volatile("rdfsbase %0" : "=r"(base));
    return base;
}

// What the CPU left behind at the switch.
void see_off() {
    hold_alone();
    Cpu& cpu = *current_cpu();
    cpu.has_leftovers = false;
    if (Thread* exited = std::exchange(cpu.scheduler->exited_thread, nullptr)) {
        discard_thread(exited);
    }
    if (Thread* leaving = std::exchange(cpu.scheduler->leaving_thread, nullptr)) {
        start_thread(*leaving);
    }
}

SELDOM void finish_switch_with_care() {
    if (current_cpu()->has_leftovers) see_off();
    resume_lock();
    note_if_misplaced();
}

// Whether there may be anything to do: leftovers, or with several CPUs the kernel lock.
[[gnu::always_inline]] inline bool needs_care() {
    static_assert(offsetof(Cpu, has_leftovers) == offsetof(Cpu, lock_hold) + 1);
    bool needs;
    asm volatile("cmpw $0, %%gs:%c1" : "=@ccne"(needs) : "i"(offsetof(Cpu, lock_hold)));
    return needs;
}

// True if the CPU is left with all registers of `previous`.
bool save_vector_state(Thread& previous) {
    if (called_as_c_function(previous)) {
        previous.vector_state.save_control();
        return false;
    }
    if (previous.run_state != RunState::kExited) previous.vector_state.save_all();
    return true;
}

// From the top down: the mark of a trap's frame, and the frame. What lies below it.
uint64_t* put_frame(Thread& thread, const TrapFrame& frame) {
    auto* words = reinterpret_cast<uint64_t*>(thread.kernel_stack_top);
    *--words = 0;
    words -= sizeof(TrapFrame) / sizeof(uint64_t);
    memcpy(words, &frame, sizeof(frame));
    return words;
}

// Makes the first switch to the thread go on at `entry` with this stack.
void prepare_first_switch(Thread& thread, uint64_t* stack, const char* entry) {
    constexpr unsigned kSavedRegisters = 6;  // sched/switch.S
    *--stack = reinterpret_cast<uint64_t>(entry);
    for (unsigned i = 0; i < kSavedRegisters; i++) *--stack = 0;
    thread.stack_pointer = reinterpret_cast<uint64_t>(stack);
}

}  // namespace

void switch_to(Thread& next) {
    Thread& previous = *current_thread();
    Cpu* cpu = current_cpu();
    const uint32_t pending = cpu->pending.load(std::memory_order_relaxed);
    if ((pending & kOfThread) || previous.signal_noted || is_interrupted(previous)) {
        move_pending(*cpu, previous, pending);
    }
    if (next.signal_noted) cpu->pending.fetch_or(kPendingSignal, std::memory_order_relaxed);
    if (next.has_sequence && (next.sequence_ended || next.sequence_cpu != cpu->id)) {
        next.sequence_ended = false;
        cpu->pending.fetch_or(kPendingSequence, std::memory_order_relaxed);
    }

    // A thread without an area for them has no application side: what the CPU holds is another's.
    const bool left_all = !previous.vector_state.is_allocated() || save_vector_state(previous);
    if (next.vector_state.is_allocated()) next.vector_state.restore(left_all);
    previous.fs_base = read_fs_base();
    asm volatile("wrfsbase %0" ::"r"(next.fs_base));
    if (next.page_table && next.page_table != cpu->page_table) {
        cpu->page_table = next.page_table;
        core::load_page_table(next.page_table);
    }

    cpu->current = &next;
    cpu->kernel_stack_top = next.kernel_stack_top;
    switch_stacks(&previous.stack_pointer, next.stack_pointer);
    finish_switch();
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
    thread->run_state = RunState::kSleeping;
    const Thread& parent = *current_thread();
    thread->key = parent.key;
    thread->weight = parent.weight;
    thread->page_table = parent.page_table;
    thread->cpu = parent.cpu;
    thread->affinity = parent.affinity;

    prepare_first_switch(*thread, put_frame(*thread, frame), first_run);
    return thread.release();
}

Result<Thread*> create_kernel_thread(KernelThreadBody body, void* argument) {
    auto thread = TRY(make_unique_object<Thread>());
    thread->kernel_stack_top = TRY(allocate_kernel_stack());
    thread->run_state = RunState::kSleeping;
    thread->cpu = current_cpu();
    // Whoever looks for the application's registers finds those of a call.
    TrapFrame frame = {};
    frame.vector = kTrapSyscall;
    uint64_t* words = put_frame(*thread, frame);
    *--words = reinterpret_cast<uint64_t>(argument);
    *--words = reinterpret_cast<uint64_t>(body);
    prepare_first_switch(*thread, words, first_kernel_run);
    return thread.release();
}

void discard_thread(Thread* thread) {
    free_kernel_stack(thread->kernel_stack_top);
    thread->vector_state.release();
    delete thread;
}

}  // namespace coracle

extern "C" {

// On the stack of the thread that runs now, after each switch. The kernel lock is held as the thread
// needs it then.
void finish_switch() {
    if (coracle::needs_care()) [[unlikely]]
        coracle::finish_switch_with_care();
}

// A new thread leaves the kernel for the first time.
void finish_first_switch() {
    finish_switch();
    if (coracle::cpu_count > 1) coracle::unlock_kernel();
}
}
