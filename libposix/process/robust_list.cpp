// What becomes of robust mutexes when their owner ends (Linux: Documentation/locking/robust-futexes).
#include <linux/futex.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/futex.h"
#include "libposix/process/threads.h"

namespace coracle {
namespace {

// The list is the program's: it may be a circle.
constexpr unsigned kMaxEntries = 2048;
constexpr uint64_t kPriorityInheritance = 1;  // in an entry's address

struct RobustListHead {
    uint64_t first;
    int64_t futex_offset;
    uint64_t pending;  // being taken or released when the thread ended
};

void orphan(uint64_t word, bool inherits_priority, bool is_pending, uint32_t tid) {
    if (word % sizeof(uint32_t) != 0) return;
    auto read = read_futex(word);
    if (!read.ok()) return;
    uint32_t value = *read;
    // Released, but whoever waits was not told yet.
    if (is_pending && !inherits_priority && value == 0) {
        (void)futex_wake({word, FutexScope::kShared}, 1, kFutexMatchAny);
        return;
    }
    for (;;) {
        if ((value & FUTEX_TID_MASK) != tid) return;
        const uint32_t old = value;
        if (!compare_exchange_user(word, &value, (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED)) return;
        if (value == old) break;
    }
    if (!inherits_priority && (value & FUTEX_WAITERS)) (void)futex_wake({word, FutexScope::kShared}, 1, kFutexMatchAny);
}

}  // namespace

void release_robust_mutexes() {
    const Thread& thread = *current_thread();
    const uint64_t list = thread.state->robust_list;
    if (!list) return;
    auto head = UserIn<RobustListHead>(list).read();
    if (!head.ok()) return;

    const auto orphan_entry = [&](uint64_t entry, bool is_pending) {
        const uint64_t word = (entry & ~kPriorityInheritance) +
                              static_cast<uint64_t>(head->futex_offset);
        orphan(word, entry & kPriorityInheritance, is_pending, thread.tid);
    };
    uint64_t entry = head->first;
    for (unsigned i = 0; i < kMaxEntries && (entry & ~kPriorityInheritance) != list; i++) {
        // Read first: whoever is woken may take the entry out.
        auto next = UserIn<uint64_t>(entry & ~kPriorityInheritance).read();
        if (entry != head->pending) orphan_entry(entry, false);
        if (!next.ok()) return;
        entry = *next;
    }
    if (head->pending) orphan_entry(head->pending, true);
}

}  // namespace coracle
