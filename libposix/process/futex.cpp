#include "libposix/process/futex.h"

#include "kernel-min/lib/seldom.h"
#include "kernel-min/lib/user_copy.h"
#include "libposix/time/clock.h"

namespace coracle {
namespace {

FutexTable table;

[[gnu::always_inline]] inline Result<void> wait_on(FutexWaiter& waiter, uint64_t address,
                                                   uint32_t value, uint32_t bits,
                                                   FutexLimit limit) {
    waiter.bits = bits;
    waiter.thread = current_thread();
    waiter.rank = waiter.thread->key.rank;
    table.add(waiter);
    const uint32_t found = TRY(read_futex(address));
    // A wake-up that came while the word was brought in must not be lost.
    if (found != value && !waiter.is_woken) return Error(EAGAIN);
    return sleep_until_set(waiter.is_woken, limit);
}

int sign_extend12(uint32_t value) { return static_cast<int>(value << 20) >> 20; }

enum WakeOp { kSet, kAdd, kOr, kAndNot, kXor };
enum WakeComparison { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

// The new value of a word. ENOSYS.
Result<uint32_t> apply(uint32_t old, uint32_t encoded) {
    constexpr unsigned kShifted = 8;
    auto operand = static_cast<uint32_t>(sign_extend12(encoded >> 12 & 0xfff));
    unsigned operation = encoded >> 28 & 0xf;
    if (operation & kShifted) operand = 1u << (operand & 31);
    switch (operation & ~kShifted) {
        case kSet:
            return operand;
        case kAdd:
            return old + operand;
        case kOr:
            return old | operand;
        case kAndNot:
            return old & ~operand;
        case kXor:
            return old ^ operand;
        default:
            return Error(ENOSYS);
    }
}

Result<bool> passes(uint32_t old, uint32_t encoded) {
    const auto value = static_cast<int>(old);
    const int operand = sign_extend12(encoded & 0xfff);
    switch (encoded >> 24 & 0xf) {
        case kEqual:
            return value == operand;
        case kNotEqual:
            return value != operand;
        case kLess:
            return value < operand;
        case kLessOrEqual:
            return value <= operand;
        case kGreater:
            return value > operand;
        case kGreaterOrEqual:
            return value >= operand;
        default:
            return Error(ENOSYS);
    }
}

Result<uint32_t> modify_word(uint64_t address, uint32_t encoded) {
    uint32_t old = TRY(read_futex(address));
    for (;;) {
        const uint32_t expected = old;
        const uint32_t changed = TRY(apply(old, encoded));
        if (!compare_exchange_user(address, &old, changed)) return Error(EFAULT);
        if (old == expected) return old;
    }
}

Result<long> to_count(int woken) {
    if (woken < 0) return Error(EINVAL);
    return woken;
}

}  // namespace

void notify(FutexWaiter& waiter) { wake(*waiter.thread); }

FutexTable& futexes() { return table; }

Result<uint32_t> read_futex(uint64_t address) {
    uint32_t value;
    if (!read_user_word(address, &value)) return Error(EFAULT);
    return value;
}

Deadline FutexLimit::deadline() const {
    if (!is_realtime) return Deadline{ns};
    const uint64_t offset = realtime_ns() - monotonic_ns();
    return Deadline{ns > offset ? ns - offset : 0};
}

namespace {

[[gnu::always_inline]] inline Result<void> sleep(const bool& flag, FutexLimit limit) {
    Thread& thread = *current_thread();
    for (;;) {
        thread.woken = false;
        if (flag) return {};
        const auto slept = sleep_until_woken(limit.deadline(), Interruptible::kYes);
        if (flag) return {};
        if (!slept.ok()) return slept.error();
    }
}

SELDOM Result<void> sleep_until_limit(const bool& flag, FutexLimit limit) {
    WaitEntry clock_entry;
    if (limit.is_realtime) wall_clock_changes().add(clock_entry);
    return sleep(flag, limit);
}

}  // namespace

Result<void> sleep_until_set(const bool& flag, FutexLimit limit) {
    if (!limit.is_never()) return sleep_until_limit(flag, limit);
    return sleep(flag, {});
}

Result<void> futex_wait(FutexWord word, uint32_t value, uint32_t bits, FutexLimit limit) {
    if (bits == 0) return Error(EINVAL);
    FutexWaiter waiter;
    if (word.scope == FutexScope::kPrivate) {
        waiter.key = TRY(futex_key(word));
        return wait_on(waiter, word.address, value, bits, limit);
    }
    const NamedFutex futex = TRY(name_futex(word));
    waiter.key = futex.key;
    return wait_on(waiter, word.address, value, bits, limit);
}

Result<long> futex_wake(FutexWord word, uint32_t count, uint32_t bits) {
    if (bits == 0) return Error(EINVAL);
    const FutexKey key = TRY(futex_key(word));
    if (table.is_quiet(key)) return 0;
    return to_count(table.wake(key, count, bits));
}

Result<long> futex_requeue(FutexWord word, uint32_t wake_count, FutexWord target,
                           uint32_t requeue_count, const uint32_t* expected) {
    const NamedFutex from = TRY(name_futex(word)), to = TRY(name_futex(target));
    if (expected && TRY(read_futex(word.address)) != *expected) return Error(EAGAIN);
    return to_count(table.requeue(from.key, wake_count, to.key, requeue_count));
}

Result<long> futex_wake_op(FutexWord word, uint32_t wake_count, FutexWord second,
                           uint32_t second_count, uint32_t operation) {
    const NamedFutex first_futex = TRY(name_futex(word)), second_futex = TRY(name_futex(second));
    const uint32_t old = TRY(modify_word(second.address, operation));
    const bool wakes_second = TRY(passes(old, operation));
    long woken = TRY(to_count(table.wake(first_futex.key, wake_count, kFutexMatchAny)));
    if (!wakes_second) return woken;
    return woken + TRY(to_count(table.wake(second_futex.key, second_count, kFutexMatchAny)));
}

}  // namespace coracle
