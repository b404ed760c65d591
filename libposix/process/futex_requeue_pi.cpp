// Condition variables with a priority-inheritance mutex: waiters go from the one to the other
// without running (Linux: Documentation/locking/futex-requeue-pi.rst).
#include "libposix/process/futex_pi.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

// A waiter of FUTEX_WAIT_REQUEUE_PI for this pair; null if there is none. EINVAL: another call's.
Result<LockWaiter*> next_waiter(const FutexKey& key, const FutexKey& target) {
    FutexWaiter* first = futexes().first(key);
    if (!first) return nullptr;
    if (first->kind != FutexWaiter::Kind::kForRequeue) return Error(EINVAL);
    auto* waiter = static_cast<LockWaiter*>(first);
    if (waiter->requeue_key != target) return Error(EINVAL);
    return waiter;
}

Result<void> move_to_lock(LockWaiter& waiter, const FutexKey& target, Thread& owner) {
    if (waits_for(owner, *waiter.thread)) return Error(EDEADLK);
    waiter.kind = FutexWaiter::Kind::kLock;
    futexes().move(waiter, target);
    start_lending(waiter, owner);
    return {};
}

}  // namespace

Result<void> futex_wait_requeue_pi(FutexWord word, uint32_t value, FutexLimit limit,
                                   FutexWord target) {
    if (word.address == target.address) return Error(EINVAL);
    const NamedFutex lock = TRY(name_futex(target)), condition = TRY(name_futex(word));
    LockWaiter waiter;
    waiter.key = condition.key;
    waiter.requeue_key = lock.key;
    waiter.kind = FutexWaiter::Kind::kForRequeue;
    waiter.thread = current_thread();
    waiter.rank = waiter.thread->key.rank;
    if (waiter.key == lock.key) return Error(EINVAL);
    futexes().add(waiter);
    auto waited = [&]() -> Result<void> {
        if (TRY(read_futex(word.address)) != value && !waiter.is_woken) return Error(EAGAIN);
        return sleep_until_set(waiter.is_woken, limit);
    }();
    if (waited.ok()) return take_over(waiter, target.address);
    const bool waits_for_lock = waiter.kind == FutexWaiter::Kind::kLock;
    if (waits_for_lock) stop_lending(waiter);
    if (waited.error_code() != kErestartsys) return waited.error();
    // Once it waits for the lock the condition has come true: it cannot be waited for again.
    return Error(waits_for_lock ? EAGAIN : kErestartnointr);
}

Result<long> futex_cmp_requeue_pi(FutexWord word, uint32_t wake_count, FutexWord target,
                                  uint32_t requeue_count, uint32_t expected) {
    if (word.address == target.address || wake_count != 1) return Error(EINVAL);
    const NamedFutex condition = TRY(name_futex(word)), lock = TRY(name_futex(target));
    if (condition.key == lock.key) return Error(EINVAL);
    if (TRY(read_futex(word.address)) != expected) return Error(EAGAIN);
    long count = 0;
    Thread* owner = nullptr;
    LockWaiter* waiter = TRY(next_waiter(condition.key, lock.key));
    while (waiter && !owner) {
        Thread& thread = *waiter->thread;
        owner = TRY(acquire_or_find_owner(lock.key, target.address, thread, requeue_count != 0));
        // That may have slept: the waiter may have gone.
        if (TRY(next_waiter(condition.key, lock.key)) != waiter) return Error(EAGAIN);
        if (owner) break;
        futexes().wake(*waiter);
        owner = &thread;
        count++;
        waiter = TRY(next_waiter(condition.key, lock.key));
    }
    while (waiter && count < int64_t{wake_count} + requeue_count) {
        TRY(move_to_lock(*waiter, lock.key, *owner));
        count++;
        waiter = TRY(next_waiter(condition.key, lock.key));
    }
    return count;
}

}  // namespace coracle
