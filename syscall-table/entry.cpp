#include <sys/syscall.h>

#include <algorithm>
#include <cstddef>

#include "kernel-min/abi/process_page.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/process.h"
#include "libposix/process/restartable_sequence.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/dispatch.h"
#include "syscall-table/rewriter/process_code.h"
#include "syscall-table/rewriter/site.h"

using namespace coracle;

// entry.S and the core reach these by number.
static_assert(offsetof(Cpu, current) == CPU_CURRENT);
static_assert(offsetof(Cpu, kernel_stack_top) == CPU_KERNEL_STACK_TOP);
static_assert(offsetof(Cpu, pending) == CPU_PENDING);
static_assert(offsetof(Cpu, id) == CPU_ID);
static_assert(sizeof(TrapFrame) == TRAP_FRAME_SIZE);

extern "C" {

// Read by entry.S: what entries call, and what that calls under the kernel lock.
SyscallThunk call_table[abi::kCallCount];
const SyscallThunk* thunks_in_force = kSyscallThunks;
Result<long> locked_call(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

// A `syscall` instruction trapped.
void on_syscall(TrapFrame* frame) {
    auto number = static_cast<uint32_t>(frame->rax);
    frame->error_code = number;
    {
        KernelSection section;
        consider_rewriting(frame->rip - rewriter::kSyscallSize, frame->rax);
    }
    long result = -ENOSYS;
    if (number < abi::kSyscallCount) {
        Result<long> answer = call_table[number](frame->rdi, frame->rsi, frame->rdx, frame->r10,
                                                 frame->r8, frame->r9, number);
        result = to_return_value(answer);
    }
    frame->rax = static_cast<uint64_t>(result);
}

// Calls whose first argument is a descriptor, and that use nothing shared but its file if that has a
// home.
static bool may_be_local(uint64_t number) {
    switch (number) {
        case __NR_read:
        case __NR_write:
        case __NR_readv:
        case __NR_writev:
        case __NR_sendto:
        case __NR_recvfrom:
        case __NR_sendmsg:
        case __NR_recvmsg:
        case __NR_epoll_wait:
        case __NR_epoll_pwait:
            return thunks_in_force == kSyscallThunks;
        default:
            return false;
    }
}

// For entry.S. Held locally where the file's home is this CPU, else alone.
void lock_for_call(uint64_t first_argument, uint64_t number) {
    Thread& thread = *current_thread();
    thread.home = nullptr;
    if (!may_be_local(number)) return lock_kernel();
    lock_kernel_locally();
    const File* file = thread.process->descriptors->find(static_cast<int>(first_argument));
    if (!file || file->home != current_cpu()->id) return hold_alone();
    thread.home = &file->home;
}

static bool take_pending(uint32_t bit) {
    return current_cpu()->pending.fetch_and(~bit, std::memory_order_relaxed) & bit;
}

// Work waits on the way out.
void on_leave(TrapFrame* frame) {
    KernelSection section(LockNeeded::kLocally);
    handle_pending_interrupts();
    constexpr uint32_t kOfThread = kPendingReschedule | kPendingSequence | kPendingSignal;
    if (!(current_cpu()->pending.load(std::memory_order_relaxed) & kOfThread)) return;
    become_alone();
    if (take_pending(kPendingReschedule)) reschedule();
    if (take_pending(kPendingSequence)) resume_restartable_sequence(*frame);
    if (take_pending(kPendingSignal)) deliver_signals(*frame);
}

// The same for a rewritten or C call: from here on it is a call that trapped at the vDSO's
// `syscall; ret`, with the program's return address on top of its stack.
void on_call_leave(TrapFrame* frame) {
    frame->rip = current_process()->vdso_syscall + 2;
    frame->rcx = frame->rip;
    frame->r11 = frame->rflags;
    on_leave(frame);
}

// A call returned on a stack that is gone.
void on_bad_stack() {
    KernelSection section;
    exit_process(kSigSegv);
}
}

namespace coracle {

void use_thunks(const SyscallThunk* thunks) {
    thunks_in_force = thunks;
}

const SyscallThunk* used_thunks() {
    return thunks_in_force;
}

void open_entries(bool with_kernel_lock) {
    if (with_kernel_lock) {
        std::fill_n(call_table, abi::kCallCount, locked_call);
    } else {
        std::copy_n(thunks_in_force, abi::kCallCount, call_table);
    }
}

TrapFrame* application_frame() {
    auto* top = reinterpret_cast<uint64_t*>(current_cpu()->kernel_stack_top);
    if (top[-1] != 0) return nullptr;
    return reinterpret_cast<TrapFrame*>(top - 1) - 1;
}

}  // namespace coracle
