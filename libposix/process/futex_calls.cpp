// futex: from the operation's number to what it does.
#include <linux/futex.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/futex.h"
#include "libposix/process/futex_pi.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

struct Call {
    FutexWord word;
    uint32_t value;
    uint64_t timeout;  // an address, or the second count of the operations without a time limit
    FutexWord word2;
    uint32_t value3;
};

bool has_limit(int command) {
    switch (command) {
        case FUTEX_WAIT:
        case FUTEX_LOCK_PI:
        case FUTEX_LOCK_PI2:
        case FUTEX_WAIT_BITSET:
        case FUTEX_WAIT_REQUEUE_PI:
            return true;
        default:
            return false;
    }
}

// FUTEX_WAIT's limit is a time from now, the others' a moment; FUTEX_LOCK_PI's is always one of the
// wall clock. EFAULT, EINVAL.
Result<FutexLimit> read_limit(uint64_t address, int command, bool is_realtime) {
    if (address == 0) return FutexLimit{};
    const timespec time = TRY(UserIn<timespec>(address).read());
    if (!is_valid(time)) return Error(EINVAL);
    const uint64_t ns = to_ns(time);
    if (command == FUTEX_WAIT) return FutexLimit{Deadline::after(ns).monotonic_ns};
    return FutexLimit{ns, is_realtime || command == FUTEX_LOCK_PI};
}

Result<long> wait(FutexWord word, uint32_t value, uint32_t bits, FutexLimit limit);

Result<long> continue_wait(RestartBlock& block) {
    const auto scope = static_cast<FutexScope>(block.arguments[2] >> 1 & 1);
    const bool is_realtime = block.arguments[2] & 1;
    return wait({block.arguments[0], scope}, static_cast<uint32_t>(block.arguments[1]),
                static_cast<uint32_t>(block.arguments[1] >> 32),
                {block.arguments[3], is_realtime});
}

Result<long> wait(FutexWord word, uint32_t value, uint32_t bits, FutexLimit limit) {
    const auto waited = futex_wait(word, value, bits, limit);
    if (waited.ok()) return 0;
    if (waited.error_code() != kErestartsys || limit.is_never()) return waited.error();
    // With a limit, a restart must not wait for all of it again.
    RestartBlock& block = current_thread()->state->signals.restart_block;
    block.arguments[0] = word.address;
    block.arguments[1] = uint64_t{bits} << 32 | value;
    block.arguments[2] = static_cast<uint64_t>(word.scope) << 1 | limit.is_realtime;
    block.arguments[3] = limit.ns;
    return block.set(continue_wait);
}

Result<long> requeue(const Call& call, int command) {
    const auto count = static_cast<int>(call.timeout);
    if (static_cast<int>(call.value) < 0 || count < 0) return Error(EINVAL);
    const auto requeue_count = static_cast<uint32_t>(count);
    if (command == FUTEX_CMP_REQUEUE_PI) {
        return futex_cmp_requeue_pi(call.word, call.value, call.word2, requeue_count, call.value3);
    }
    const uint32_t* expected = command == FUTEX_CMP_REQUEUE ? &call.value3 : nullptr;
    return futex_requeue(call.word, call.value, call.word2, requeue_count, expected);
}

Result<long> no_value(Result<void> result) {
    if (!result.ok()) return result.error();
    return 0;
}

}  // namespace

Result<long> sys_futex(unsigned long word, int operation, unsigned int value,
                       unsigned long timeout, unsigned long word2, unsigned int value3) {
    // What the C library's locks and condition variables do when they must.
    if (operation == (FUTEX_WAKE | FUTEX_PRIVATE_FLAG)) {
        return futex_wake({word, FutexScope::kPrivate}, value, kFutexMatchAny);
    }
    const bool is_private_wait =
        operation == (FUTEX_WAIT | FUTEX_PRIVATE_FLAG) ||
        (operation & ~FUTEX_CLOCK_REALTIME) == (FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG);
    if (is_private_wait && timeout == 0) {
        const bool has_bits = operation != (FUTEX_WAIT | FUTEX_PRIVATE_FLAG);
        return wait({word, FutexScope::kPrivate}, value, has_bits ? value3 : kFutexMatchAny, {});
    }

    const FutexScope scope =
        operation & FUTEX_PRIVATE_FLAG ? FutexScope::kPrivate : FutexScope::kShared;
    const Call call = {{word, scope}, value, timeout, {word2, scope}, value3};
    const int command = operation & FUTEX_CMD_MASK;
    const bool is_realtime = operation & FUTEX_CLOCK_REALTIME;
    FutexLimit limit;
    if (has_limit(command)) limit = TRY(read_limit(timeout, command, is_realtime));
    if (is_realtime && command != FUTEX_WAIT_BITSET && command != FUTEX_WAIT_REQUEUE_PI &&
        command != FUTEX_LOCK_PI2) {
        return Error(ENOSYS);
    }
    switch (command) {
        case FUTEX_WAIT:
            return wait(call.word, value, kFutexMatchAny, limit);
        case FUTEX_WAIT_BITSET:
            return wait(call.word, value, value3, limit);
        case FUTEX_WAKE:
            return futex_wake(call.word, value, kFutexMatchAny);
        case FUTEX_WAKE_BITSET:
            return futex_wake(call.word, value, value3);
        case FUTEX_WAKE_OP:
            return futex_wake_op(call.word, value, call.word2, static_cast<uint32_t>(timeout),
                                 value3);
        case FUTEX_REQUEUE:
        case FUTEX_CMP_REQUEUE:
        case FUTEX_CMP_REQUEUE_PI:
            return requeue(call, command);
        case FUTEX_LOCK_PI:
        case FUTEX_LOCK_PI2:
            return no_value(futex_lock_pi(call.word, limit, LockAttempt::kWait));
        case FUTEX_TRYLOCK_PI:
            return no_value(futex_lock_pi(call.word, limit, LockAttempt::kTry));
        case FUTEX_UNLOCK_PI:
            return no_value(futex_unlock_pi(call.word));
        case FUTEX_WAIT_REQUEUE_PI:
            return no_value(futex_wait_requeue_pi(call.word, value, limit, call.word2));
        default:
            return Error(ENOSYS);
    }
}

}  // namespace coracle
