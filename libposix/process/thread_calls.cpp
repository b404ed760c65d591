// set_tid_address, the robust list, membarrier and unshare.
#include <linux/membarrier.h>
#include <linux/sched.h>

#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/tlb.h"
#include "libposix/process/restartable_sequence.h"
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr size_t kRobustListHeadSize = 24;  // sizeof(struct robust_list_head)

constexpr uint32_t kBarriers =
    MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_GLOBAL_EXPEDITED | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
    MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE | MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
constexpr uint32_t kRegistrations = MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
                                    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
                                    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE |
                                    MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;

// The registration that a private barrier needs first; 0 for the others.
uint32_t needed_registration(int command) {
    switch (command) {
        case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
            return MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
        case MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE:
            return MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
        case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
            return MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ;
        default:
            return 0;
    }
}

}  // namespace

Result<long> sys_set_tid_address(unsigned long address) {
    Thread& thread = *current_thread();
    thread.state->clear_child_tid = address;
    return thread.tid;
}

Result<long> sys_set_robust_list(unsigned long head, size_t length) {
    if (length != kRobustListHeadSize) return Error(EINVAL);
    ThreadState& state = *current_thread()->state;
    state.robust_list = head;
    state.robust_list_size = length;
    return 0;
}

Result<long> sys_get_robust_list(int pid, UserOut<unsigned long> head, UserOut<size_t> length) {
    const Thread* thread = TRY(find_own_thread(pid));
    const unsigned long list = thread->state->robust_list;
    TRY(length.write(kRobustListHeadSize));
    TRY(head.write(list));
    return 0;
}

Result<long> sys_membarrier(int command, unsigned int flags, int cpu) {
    const bool takes_cpu = command == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
    if (flags && !(takes_cpu && flags == MEMBARRIER_CMD_FLAG_CPU)) return Error(EINVAL);
    if (command == MEMBARRIER_CMD_QUERY) return kBarriers | kRegistrations;

    Process& process = *current_process();
    const auto bit = static_cast<uint32_t>(command);
    if ((bit & (bit - 1)) || !(bit & (kBarriers | kRegistrations))) return Error(EINVAL);
    if (bit & kRegistrations) {
        process.membarrier_registrations |= bit;
        return 0;
    }
    const uint32_t needed = needed_registration(command);
    if (needed & ~process.membarrier_registrations) return Error(EPERM);
    if (cpu_count == 1) return 0;
    if (takes_cpu) {
        constexpr int kEveryCpu = -1;
        abort_sequences_elsewhere(process, flags & MEMBARRIER_CMD_FLAG_CPU ? cpu : kEveryCpu);
    }
    // An interrupt orders memory on the CPU that takes it, and so does the kernel lock on those
    // that idle. Only those that run the process matter: the way of its TLB flushes.
    flush_other_tlbs(current_thread()->page_table, 0, kUserEnd);
    return 0;
}

// A thread that is alone shares nothing. Threads cannot part, neither here nor, but for CLONE_FS,
// CLONE_FILES and CLONE_SYSVSEM, on Linux. Namespaces need CAP_SYS_ADMIN.
Result<long> sys_unshare(unsigned long flags) {
    constexpr unsigned long kShared = CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD |
                                      CLONE_SIGHAND | CLONE_VM;
    constexpr unsigned long kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                          CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                          CLONE_NEWNET | CLONE_NEWTIME;
    const bool is_alone = current_process()->threads.size() == 1;
    if (flags & ~(kShared | kNamespaces)) return Error(EINVAL);
    if (!is_alone && (flags & (kShared | CLONE_NEWUSER))) return Error(EINVAL);
    if (flags & kNamespaces) return Error(EPERM);
    return 0;
}

}  // namespace coracle
