// rt_sigaction, rt_sigprocmask, rt_sigpending, sigaltstack: what is set up before signals come.
#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/signals/default_action.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/signals/signal_frame.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint64_t kSaExposeTagbits = 0x800;
constexpr uint64_t kKnownFlags = kSaNocldstop | kSaNocldwait | kSaSiginfo | kSaOnstack |
                                 kSaRestart | kSaNodefer | kSaResethand | kSaExposeTagbits |
                                 kSaRestorer;

enum MaskOperation : int { kBlock = 0, kUnblock = 1, kSetMask = 2 };

}  // namespace

Result<long> sys_rt_sigaction(int signo, UserIn<SignalAction> action,
                              UserOut<SignalAction> old_action, size_t set_size) {
    if (set_size != sizeof(SignalSet)) return Error(EINVAL);
    SignalAction wanted;
    if (action) wanted = TRY(action.read());
    if (!is_valid_signal(signo)) return Error(EINVAL);
    if (action && (signal_bit(signo) & kUnblockableSignals)) return Error(EINVAL);

    Thread& thread = *current_thread();
    SignalAction& current = (*thread.process->signal_actions)[signo];
    const SignalAction previous = current;
    if (action) {
        // A program finds out which flags exist by reading back what it set.
        wanted.flags &= kKnownFlags;
        wanted.mask &= ~kUnblockableSignals;
        current = wanted;
        // POSIX: a pending signal that becomes ignored is forgotten, blocked or not.
        if (is_ignored(signo, wanted.handler)) {
            thread.process->pending_signals.remove(signal_bit(signo));
            for (Thread& other : thread.process->threads) {
                other.state->signals.pending.remove(signal_bit(signo));
            }
        }
    }
    if (old_action) TRY(old_action.write(previous));
    return 0;
}

Result<long> sys_rt_sigprocmask(int how, UserIn<SignalSet> set, UserOut<SignalSet> old_set,
                                size_t set_size) {
    if (set_size != sizeof(SignalSet)) return Error(EINVAL);
    const SignalSet previous = current_thread()->state->signals.blocked;
    if (set) {
        const SignalSet given = TRY(set.read());
        switch (how) {
            case kBlock:
                set_blocked_signals(previous | given);
                break;
            case kUnblock:
                set_blocked_signals(previous & ~given);
                break;
            case kSetMask:
                set_blocked_signals(given);
                break;
            default:
                return Error(EINVAL);
        }
    }
    if (old_set) TRY(old_set.write(previous));
    return 0;
}

Result<long> sys_rt_sigpending(UserOut<SignalSet> set, size_t set_size) {
    if (set_size > sizeof(SignalSet)) return Error(EINVAL);
    const Thread& thread = *current_thread();
    const SignalSet pending = pending_signals(thread) & thread.state->signals.blocked;
    if (!copy_to_user(set.address(), &pending, set_size)) return Error(EFAULT);
    return 0;
}

Result<long> sys_sigaltstack(UserIn<AlternateStack> stack, UserOut<AlternateStack> old_stack) {
    AlternateStack wanted;
    if (stack) wanted = TRY(stack.read());
    AlternateStack& current = current_thread()->state->signals.alternate_stack;
    const uint64_t stack_pointer = application_stack_pointer();

    AlternateStack previous = current;
    uint32_t flags = static_cast<uint32_t>(current.flags) & kSsAutodisarm;
    if (current.size == 0) {
        flags |= kSsDisable;
    } else if (is_on_alternate_stack(current, stack_pointer)) {
        flags |= kSsOnstack;
    }
    previous.flags = static_cast<int32_t>(flags);
    if (stack) TRY(set_alternate_stack(current, wanted, stack_pointer));
    if (old_stack) TRY(old_stack.write(previous));
    return 0;
}

}  // namespace coracle
