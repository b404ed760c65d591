// Futexes (man 2 futex): threads that sleep until another one changes a word of memory and says
// so. Waiters live in their own call's frame, in buckets hashed by the word's key.
//
// Invariant: whoever wakes changed the word first, and a waiter enters its bucket before it reads
// the word, so no wake-up is lost.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/wait.h"

namespace coracle {

constexpr uint32_t kFutexMatchAny = ~uint32_t{0};

// Sleeps while the word holds `value`, until a wake-up whose bits meet `bits`. EAGAIN: it holds
// something else; ETIMEDOUT; kErestartsys; EFAULT; EINVAL for a word that is not aligned.
Result<void> futex_wait(uint64_t word, uint32_t value, uint32_t bits, Deadline deadline);

// Wakes up to `count` waiters and tells how many. EFAULT, EINVAL.
Result<long> futex_wake(uint64_t word, uint32_t count, uint32_t bits);

// Wakes up to `wake_count` waiters of `word` and moves up to `requeue_count` others to `target`.
// Tells how many were woken or moved.
Result<long> futex_requeue(uint64_t word, uint32_t wake_count, uint64_t target,
                           uint32_t requeue_count);

}  // namespace coracle
