// clone and clone3 (man 2 clone), for threads. Not yet: new processes.
#include <linux/sched.h>
#include <signal.h>

#include <cstring>
#include <memory>

#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/threads.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/dispatch.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

struct CloneRequest {
    uint64_t flags = 0;
    uint64_t stack_pointer = 0;  // 0: the parent's
    uint64_t pidfd = 0, parent_tid = 0, child_tid = 0;
    uint64_t tls = 0;
};

constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
// What every thread library shares; a thread without one of them is not supported.
constexpr uint64_t kThreadFlags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

// The combinations that Linux refuses (copy_process). EINVAL, EPERM.
Result<void> check_flags(uint64_t flags) {
    const auto has = [flags](uint64_t all) { return (flags & all) == all; };
    if (has(CLONE_NEWNS | CLONE_FS) || has(CLONE_NEWUSER | CLONE_FS)) return Error(EINVAL);
    if (has(CLONE_THREAD) && !has(CLONE_SIGHAND)) return Error(EINVAL);
    if (has(CLONE_SIGHAND) && !has(CLONE_VM)) return Error(EINVAL);
    if (has(CLONE_THREAD) && (flags & (CLONE_NEWUSER | CLONE_NEWPID))) return Error(EINVAL);
    if (has(CLONE_PIDFD) && (flags & (CLONE_THREAD | CLONE_DETACHED))) return Error(EINVAL);
    if (has(CLONE_SIGHAND | CLONE_CLEAR_SIGHAND)) return Error(EINVAL);
    if (flags & kNamespaces) return Error(EPERM);
    return {};
}

ThreadState* inherit_state(const ThreadState& parent, const CloneRequest& request) {
    auto* child = new (std::nothrow) ThreadState;
    if (!child) return nullptr;
    child->signals.blocked = parent.signals.blocked;
    if (request.flags & CLONE_CHILD_CLEARTID) child->clear_child_tid = request.child_tid;
    child->scheduling = inherited_scheduling(parent.scheduling);
    child->timer_slack_ns = parent.timer_slack_ns;
    child->memory_policy = parent.memory_policy;
    return child;
}

// CLONE_VFORK: nothing but SIGKILL ends it early.
void wait_for_end(Thread& child, VforkWait& vfork) {
    const auto is_killed = [] {
        return (pending_signals(*current_thread()) & signal_bit(kSigKill)) != 0;
    };
    (void)wait_until(
        vfork.ended, Deadline::never(), [&] { return vfork.has_ended || is_killed(); },
        Interruptible::kNo);
    if (!vfork.has_ended) child.state->vfork = nullptr;
}

Result<long> clone_thread(const CloneRequest& request) {
    constexpr uint64_t kBothAddresses = CLONE_PIDFD | CLONE_PARENT_SETTID;
    const bool has_both = (request.flags & kBothAddresses) == kBothAddresses;
    if (has_both && request.pidfd == request.parent_tid) return Error(EINVAL);
    TRY(check_flags(request.flags));
    if ((request.flags & kThreadFlags) != kThreadFlags) return Error(ENOSYS);
    if ((request.flags & CLONE_SETTLS) && request.tls >= kUserEnd) return Error(EPERM);
    // A call as a function has no registers to inherit. No thread library makes one.
    const TrapFrame* parent_frame = application_frame();
    if (!parent_frame) return Error(ENOSYS);
    Process& process = *current_process();
    if (is_at_thread_limit(process)) return Error(EAGAIN);

    TrapFrame frame = *parent_frame;
    frame.rax = 0;
    frame.vector = kTrapInterrupt;  // its call is over: nothing restarts
    if (request.stack_pointer) frame.rsp = request.stack_pointer;
    uint64_t fs_base = request.tls;
    if (!(request.flags & CLONE_SETTLS)) asm volatile("rdfsbase %0" : "=r"(fs_base));

    Thread* thread = TRY(create_thread(frame, fs_base));
    thread->state = inherit_state(*current_thread()->state, request);
    if (!thread->state) {
        discard_thread(thread);
        return Error(ENOMEM);
    }
    apply_first_scheduling(*thread);
    memcpy(thread->state->name, thread_name(*current_thread()), sizeof(Process::name));
    process.descriptors->share();
    add_thread(process, *thread);
    const uint32_t tid = thread->tid;
    // As on Linux, an address that cannot be written to is nobody's error.
    if (request.flags & CLONE_PARENT_SETTID) (void)UserOut<uint32_t>(request.parent_tid).write(tid);
    if (request.flags & CLONE_CHILD_SETTID) (void)UserOut<uint32_t>(request.child_tid).write(tid);
    VforkWait vfork;
    if (request.flags & CLONE_VFORK) thread->state->vfork = &vfork;
    start_thread(*thread);
    if (request.flags & CLONE_VFORK) wait_for_end(*thread, vfork);
    return tid;
}

struct CloneArguments {  // struct clone_args
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    uint64_t set_tid, set_tid_size, cgroup;
};

// copy_struct_from_user(): bytes that we do not know must be zero. E2BIG, EINVAL, EFAULT.
Result<CloneArguments> read_arguments(uint64_t address, size_t size) {
    constexpr size_t kPageSize = 4096;
    if (size > kPageSize) return Error(E2BIG);
    if (size < CLONE_ARGS_SIZE_VER0) return Error(EINVAL);
    for (size_t at = sizeof(CloneArguments); at < size; at++) {
        if (TRY(UserIn<uint8_t>(address + at).read()) != 0) return Error(E2BIG);
    }
    CloneArguments arguments = {};
    const size_t known = size < sizeof(arguments) ? size : sizeof(arguments);
    if (!copy_from_user(&arguments, address, known)) return Error(EFAULT);
    return arguments;
}

Result<void> check_arguments(const CloneArguments& arguments) {
    constexpr uint64_t kKnown = 0xffffffff | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;
    constexpr uint64_t kMaxSetTid = 32;
    if (arguments.set_tid_size > kMaxSetTid) return Error(EINVAL);
    if (!arguments.set_tid != !arguments.set_tid_size) return Error(EINVAL);
    if (arguments.exit_signal & ~uint64_t{CSIGNAL}) return Error(EINVAL);
    if (arguments.exit_signal > 64) return Error(EINVAL);
    if (arguments.set_tid_size) return Error(EPERM);  // needs CAP_CHECKPOINT_RESTORE
    if (arguments.flags & ~kKnown || arguments.flags & (CLONE_DETACHED | CSIGNAL)) {
        return Error(EINVAL);
    }
    if ((arguments.flags & (CLONE_THREAD | CLONE_PARENT)) && arguments.exit_signal) {
        return Error(EINVAL);
    }
    if (!arguments.stack != !arguments.stack_size) return Error(EINVAL);
    if (!is_user_range(arguments.stack, arguments.stack_size)) return Error(EINVAL);
    return {};
}

}  // namespace

Result<long> sys_clone(unsigned long flags, unsigned long stack, UserOut<int> parent_tid,
                       UserOut<int> child_tid, unsigned long tls) {
    return clone_thread({.flags = static_cast<uint32_t>(flags) & ~uint64_t{CSIGNAL},
                         .stack_pointer = stack,
                         .pidfd = parent_tid.address(),
                         .parent_tid = parent_tid.address(),
                         .child_tid = child_tid.address(),
                         .tls = tls});
}

Result<long> sys_clone3(UserInOut<clone_args> user_arguments, size_t size) {
    const CloneArguments arguments = TRY(read_arguments(user_arguments.address(), size));
    TRY(check_arguments(arguments));
    return clone_thread({.flags = arguments.flags,
                         .stack_pointer = arguments.stack + arguments.stack_size,
                         .pidfd = arguments.pidfd,
                         .parent_tid = arguments.parent_tid,
                         .child_tid = arguments.child_tid,
                         .tls = arguments.tls});
}

}  // namespace coracle
