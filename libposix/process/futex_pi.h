// Futexes as locks with priority inheritance (Linux: Documentation/locking/pi-futex.rst). The word
// holds the owner's thread id, FUTEX_WAITERS while the kernel must be asked to unlock it, and
// FUTEX_OWNER_DIED. The kernel passes the lock on to the most urgent waiter.
#pragma once

#include "libposix/process/futex.h"
#include "libposix/process/priority_inheritance.h"

namespace coracle {

enum class LockAttempt : bool { kWait, kTry };

// FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI. EAGAIN: it is locked; EDEADLK, ESRCH: the word names no thread;
// EINVAL: word and kernel disagree; ETIMEDOUT, kErestartnointr, EFAULT.
Result<void> futex_lock_pi(FutexWord word, FutexLimit limit, LockAttempt attempt);

// FUTEX_UNLOCK_PI. EPERM: the current thread is not the owner; EINVAL, EFAULT.
Result<void> futex_unlock_pi(FutexWord word);

// FUTEX_WAIT_REQUEUE_PI: waits for `word` as a condition and then for the lock `target`.
Result<void> futex_wait_requeue_pi(FutexWord word, uint32_t value, FutexLimit limit,
                                   FutexWord target);
// FUTEX_CMP_REQUEUE_PI: gives the lock to the first waiter if it is free, and lets the others, up
// to `requeue_count`, wait for it. Tells how many that were.
Result<long> futex_cmp_requeue_pi(FutexWord word, uint32_t wake_count, FutexWord target,
                                  uint32_t requeue_count, uint32_t expected);

// What an ending thread owns goes to those that wait for it. Never sleeps.
void give_up_locks(Thread& thread);

// --- For these calls alone.

// The owner for whom a new waiter, `thread`, must wait; null: it has got the lock. EDEADLK, ESRCH,
// EINVAL, EFAULT. Nothing sleeps after the answer is known.
Result<Thread*> acquire_or_find_owner(const FutexKey& key, uint64_t address, Thread& thread,
                                      bool leaves_waiters);
// The end of a wait that gave the lock to the current thread. EFAULT.
Result<void> take_over(const LockWaiter& waiter, uint64_t address);

}  // namespace coracle
