// Futexes (man 2 futex): threads that sleep until another one changes a word of memory and says
// so.
//
// Invariant: whoever wakes changed the word first, and a waiter enters its bucket before it reads
// the word, so no wake-up is lost.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/wait.h"
#include "libposix/memory/memory_object.h"
#include "libposix/process/futex_table.h"

namespace coracle {

// FUTEX_PRIVATE_FLAG, or its absence: whether only threads that share the address space meet.
enum class FutexScope : bool { kPrivate, kShared };

struct FutexWord {
    uint64_t address;
    FutexScope scope;
};

// When a wait ends: never, at a moment of the monotonic clock, or at one of the wall clock,
// wherever that is set meanwhile.
struct FutexLimit {
    uint64_t ns = UINT64_MAX;
    bool is_realtime = false;

    bool is_never() const { return ns == UINT64_MAX; }
    Deadline deadline() const;
};

// The table of the whole machine.
FutexTable& futexes();

// A key, and what keeps a shared one's name from meaning anything else.
struct NamedFutex {
    FutexKey key;
    RefPtr<MemoryObject> object;
};
// EINVAL: not aligned; EFAULT: outside of the application's half, or (shared) not mapped.
Result<NamedFutex> name_futex(FutexWord word);
// The key alone: for private words, which need no counted object, and where nothing sleeps. The
// same errors.
Result<FutexKey> futex_key(FutexWord word);

// What the word holds, read at once. EFAULT. May sleep.
Result<uint32_t> read_futex(uint64_t address);

// Sleeps while the word holds `value`, until a wake-up whose bits meet `bits`. EAGAIN: it holds
// something else; ETIMEDOUT; kErestartsys; EFAULT; EINVAL.
Result<void> futex_wait(FutexWord word, uint32_t value, uint32_t bits, FutexLimit limit);

// Sleeps until somebody sets the flag and wakes the thread. ETIMEDOUT, kErestartsys: nobody did.
Result<void> sleep_until_set(const bool& flag, FutexLimit limit);

// Wakes up to `count` waiters and tells how many. EFAULT, EINVAL.
Result<long> futex_wake(FutexWord word, uint32_t count, uint32_t bits);

// Wakes up to `wake_count` waiters of `word` and moves up to `requeue_count` others to `target`,
// if `word` holds *expected (null: whatever it holds; else EAGAIN). Tells how many were woken or
// moved.
Result<long> futex_requeue(FutexWord word, uint32_t wake_count, FutexWord target,
                           uint32_t requeue_count, const uint32_t* expected);

// FUTEX_WAKE_OP: changes the second word as `operation` says, wakes waiters of the first, and of
// the second if its old value passes the test. ENOSYS: an unknown operation.
Result<long> futex_wake_op(FutexWord word, uint32_t wake_count, FutexWord second,
                           uint32_t second_count, uint32_t operation);

}  // namespace coracle
