// futex. Not yet: the priority-inheritance operations and futex_waitv.
#include <linux/futex.h>

#include <climits>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/futex.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

struct Call {
    uint64_t word;
    uint32_t value;
    uint64_t timeout;  // an address, or the second count of the operations without a time limit
    uint64_t word2;
    uint32_t value3;
};

// FUTEX_WAIT's limit is a time from now, FUTEX_WAIT_BITSET's a moment. EFAULT, EINVAL.
Result<Deadline> read_deadline(uint64_t address, bool is_absolute, bool is_realtime) {
    if (address == 0) return Deadline::never();
    const timespec time = TRY(UserIn<timespec>(address).read());
    if (!is_valid(time)) return Error(EINVAL);
    const uint64_t ns = to_ns(time);
    if (!is_absolute) return Deadline::after(ns);
    if (!is_realtime) return Deadline{ns};
    const uint64_t offset = realtime_ns() - monotonic_ns();
    return Deadline{ns > offset ? ns - offset : 0};
}

Result<long> wait_until_deadline(uint64_t word, uint32_t value, uint32_t bits, Deadline deadline);

Result<long> continue_wait(RestartBlock& block) {
    return wait_until_deadline(block.arguments[0], static_cast<uint32_t>(block.arguments[1]),
                               static_cast<uint32_t>(block.arguments[2]),
                               Deadline{block.arguments[3]});
}

Result<long> wait_until_deadline(uint64_t word, uint32_t value, uint32_t bits, Deadline deadline) {
    const auto waited = futex_wait(word, value, bits, deadline);
    if (waited.ok()) return 0;
    if (waited.error_code() != kErestartsys || deadline.is_never()) return waited.error();
    // With a limit, a restart must not wait for all of it again.
    RestartBlock& block = current_thread()->state->signals.restart_block;
    block.arguments[0] = word;
    block.arguments[1] = value;
    block.arguments[2] = bits;
    block.arguments[3] = deadline.monotonic_ns;
    return block.set(continue_wait);
}

int sign_extend12(uint32_t value) { return static_cast<int>(value << 20) >> 20; }

// FUTEX_WAKE_OP's operation on the second word: what it held before.
Result<uint32_t> modify_word(uint64_t word, uint32_t encoded) {
    uint32_t operand = static_cast<uint32_t>(sign_extend12(encoded >> 12 & 0xfff));
    unsigned operation = encoded >> 28 & 0xf;
    if (operation & FUTEX_OP_OPARG_SHIFT) {
        operand = 1u << (operand & 31);
        operation &= ~static_cast<unsigned>(FUTEX_OP_OPARG_SHIFT);
    }
    const UserInOut<uint32_t> memory(word);
    const uint32_t old = TRY(memory.read());
    switch (operation) {
        case FUTEX_OP_SET:
            TRY(memory.write(operand));
            break;
        case FUTEX_OP_ADD:
            TRY(memory.write(old + operand));
            break;
        case FUTEX_OP_OR:
            TRY(memory.write(old | operand));
            break;
        case FUTEX_OP_ANDN:
            TRY(memory.write(old & ~operand));
            break;
        case FUTEX_OP_XOR:
            TRY(memory.write(old ^ operand));
            break;
        default:
            return Error(ENOSYS);
    }
    return old;
}

Result<bool> compare_word(uint32_t old, uint32_t encoded) {
    const auto value = static_cast<int>(old);
    const int operand = sign_extend12(encoded & 0xfff);
    switch (encoded >> 24 & 0xf) {
        case FUTEX_OP_CMP_EQ:
            return value == operand;
        case FUTEX_OP_CMP_NE:
            return value != operand;
        case FUTEX_OP_CMP_LT:
            return value < operand;
        case FUTEX_OP_CMP_LE:
            return value <= operand;
        case FUTEX_OP_CMP_GT:
            return value > operand;
        case FUTEX_OP_CMP_GE:
            return value >= operand;
        default:
            return Error(ENOSYS);
    }
}

Result<long> wake_op(const Call& call) {
    const uint32_t old = TRY(modify_word(call.word2, call.value3));
    long woken = TRY(futex_wake(call.word, call.value, kFutexMatchAny));
    if (TRY(compare_word(old, call.value3))) {
        const auto second_count = static_cast<uint32_t>(call.timeout);
        woken += TRY(futex_wake(call.word2, second_count, kFutexMatchAny));
    }
    return woken;
}

Result<long> requeue(const Call& call, bool compares) {
    const auto requeue_count = static_cast<int>(call.timeout);
    if (static_cast<int>(call.value) < 0 || requeue_count < 0) return Error(EINVAL);
    if (compares && TRY(UserIn<uint32_t>(call.word).read()) != call.value3) return Error(EAGAIN);
    return futex_requeue(call.word, call.value, call.word2, static_cast<uint32_t>(requeue_count));
}

}  // namespace

Result<long> sys_futex(unsigned long word, int operation, unsigned int value,
                       unsigned long timeout, unsigned long word2, unsigned int value3) {
    const Call call = {word, value, timeout, word2, value3};
    const int command = operation & FUTEX_CMD_MASK;
    const bool is_realtime = operation & FUTEX_CLOCK_REALTIME;
    if (is_realtime && command != FUTEX_WAIT_BITSET) return Error(ENOSYS);
    switch (command) {
        case FUTEX_WAIT:
        case FUTEX_WAIT_BITSET: {
            const bool is_bitset = command == FUTEX_WAIT_BITSET;
            const Deadline deadline = TRY(read_deadline(timeout, is_bitset, is_realtime));
            const uint32_t bits = is_bitset ? value3 : kFutexMatchAny;
            return wait_until_deadline(word, value, bits, deadline);
        }
        case FUTEX_WAKE:
            return futex_wake(word, value, kFutexMatchAny);
        case FUTEX_WAKE_BITSET:
            return futex_wake(word, value, value3);
        case FUTEX_WAKE_OP:
            return wake_op(call);
        case FUTEX_REQUEUE:
            return requeue(call, false);
        case FUTEX_CMP_REQUEUE:
            return requeue(call, true);
        default:
            return Error(ENOSYS);
    }
}

}  // namespace coracle
