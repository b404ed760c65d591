#include "libposix/process/kernel_thread.h"

#include "kernel-min/memory/heap.h"
#include "libposix/process/threads.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/dispatch.h"

namespace coracle {

Result<Thread*> start_kernel_thread(std::string_view name, uint64_t affinity, KernelThreadBody body,
                                    void* argument) {
    Thread& parent = *current_thread();
    Process& process = *parent.process;
    if (is_at_thread_limit(process)) return Error(EAGAIN);
    auto state = TRY(make_unique_object<ThreadState>());
    state->is_kernel_thread = true;
    state->signals.blocked = ~kUnblockableSignals;
    state->scheduling = inherited_scheduling(parent.state->scheduling);
    name.copy(state->name, sizeof(state->name) - 1);
    Thread* thread = TRY(create_kernel_thread(body, argument));
    thread->state = state.release();
    thread->page_table = parent.page_table;
    thread->affinity = affinity;
    apply_first_scheduling(*thread);
    process.descriptors->share();
    add_thread(process, *thread);
    start_thread(*thread);
    return thread;
}

void exit_kernel_thread() {
    leave_process();
}

void take_kernel_thread_signals() {
    if (!(current_cpu()->pending.load(std::memory_order_relaxed) & kPendingSignal)) return;
    deliver_signals(*application_frame());
}

}  // namespace coracle
