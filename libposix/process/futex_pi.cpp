#include "libposix/process/futex_pi.h"

#include <linux/futex.h>

#include "libposix/process/process.h"
#include "libposix/process/threads.h"

namespace coracle {
namespace {

// The most urgent waiter for the lock; null if there is none. EINVAL: other calls use the word.
Result<LockWaiter*> top_waiter(const FutexKey& key) {
    FutexWaiter* first = futexes().first(key);
    if (first && first->kind != FutexWaiter::Kind::kLock) return Error(EINVAL);
    return static_cast<LockWaiter*>(first);
}

// True: the word held `expected` and now holds `desired`; false: it held what `expected` is now.
Result<bool> exchange(uint64_t address, uint32_t& expected, uint32_t desired) {
    const uint32_t before = expected;
    if (!compare_exchange_user(address, &expected, desired)) return Error(EFAULT);
    return expected == before;
}

// The waiter owns the lock: those behind it wait for it now.
void grant(LockWaiter& waiter) {
    Thread& old_owner = *waiter.owner;
    Thread& new_owner = *waiter.thread;
    stop_lending(waiter);
    LenderList& lenders = old_owner.state->inheritance.lenders;
    for (auto next = lenders.begin(); next != lenders.end();) {
        LockWaiter& other = *next++;
        if (other.key != waiter.key) continue;
        stop_lending(other);
        start_lending(other, new_owner);
    }
    futexes().wake(waiter);
}

}  // namespace

Result<Thread*> acquire_or_find_owner(const FutexKey& key, uint64_t address, Thread& thread,
                                      bool leaves_waiters) {
    uint32_t value = TRY(read_futex(address));
    for (;;) {
        const uint32_t owner_tid = value & FUTEX_TID_MASK;
        if (owner_tid == thread.tid) return Error(EDEADLK);
        LockWaiter* top = TRY(top_waiter(key));
        if (!top && owner_tid == 0) {
            uint32_t taken = (value & FUTEX_OWNER_DIED) | thread.tid;
            if (leaves_waiters) taken |= FUTEX_WAITERS;
            if (TRY(exchange(address, value, taken))) return nullptr;
            continue;
        }
        if (!TRY(exchange(address, value, value | FUTEX_WAITERS))) continue;
        // The exchange may have slept before it came about.
        top = TRY(top_waiter(key));
        Thread* owner = top ? top->owner : find_thread(owner_tid);
        if (!owner || owner->state->has_ended) return Error(ESRCH);
        // A new owner of an orphaned lock may still have to write its name.
        if (owner->tid != owner_tid && !(value & FUTEX_OWNER_DIED)) return Error(EINVAL);
        return owner;
    }
}

Result<void> take_over(const LockWaiter& waiter, uint64_t address) {
    if (!waiter.owner_died) return {};
    uint32_t value = TRY(read_futex(address));
    const uint32_t owned = FUTEX_WAITERS | FUTEX_OWNER_DIED | waiter.thread->tid;
    while (!TRY(exchange(address, value, owned))) continue;
    return {};
}

Result<void> futex_lock_pi(FutexWord word, FutexLimit limit, LockAttempt attempt) {
    const NamedFutex futex = TRY(name_futex(word));
    Thread& thread = *current_thread();
    Thread* owner = TRY(acquire_or_find_owner(futex.key, word.address, thread, false));
    if (!owner) return {};
    if (attempt == LockAttempt::kTry) return Error(EAGAIN);
    if (waits_for(*owner, thread)) return Error(EDEADLK);

    LockWaiter waiter;
    waiter.key = futex.key;
    waiter.kind = FutexWaiter::Kind::kLock;
    waiter.thread = &thread;
    waiter.rank = thread.key.rank;
    futexes().add(waiter);
    start_lending(waiter, *owner);
    const auto waited = sleep_until_set(waiter.is_woken, limit);
    if (waited.ok()) return take_over(waiter, word.address);
    stop_lending(waiter);
    return Error(waited.error_code() == kErestartsys ? kErestartnointr : waited.error_code());
}

Result<void> futex_unlock_pi(FutexWord word) {
    const uint32_t tid = current_thread()->tid;
    uint32_t value = TRY(read_futex(word.address));
    if ((value & FUTEX_TID_MASK) != tid) return Error(EPERM);
    const NamedFutex futex = TRY(name_futex(word));
    for (;;) {
        LockWaiter* top = TRY(top_waiter(futex.key));
        if (top && top->owner != current_thread()) return Error(EINVAL);
        const uint32_t passed_on = top ? FUTEX_WAITERS | top->thread->tid : 0;
        if (!TRY(exchange(word.address, value, passed_on))) {
            if ((value & FUTEX_TID_MASK) != tid) return Error(EINVAL);
            continue;
        }
        if (TRY(top_waiter(futex.key)) == top) {
            if (top) grant(*top);
            return {};
        }
        value = passed_on;  // the exchange slept, and meanwhile another one came to the top
    }
}

void give_up_locks(Thread& thread) {
    LenderList& lenders = thread.state->inheritance.lenders;
    while (!lenders.empty()) {
        auto* top = static_cast<LockWaiter*>(futexes().first(lenders.front().key));
        top->owner_died = true;
        grant(*top);
    }
}

}  // namespace coracle
