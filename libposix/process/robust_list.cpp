// What becomes of robust mutexes when their owner ends (Linux:
// Documentation/locking/robust-futexes).
#include <linux/futex.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/futex.h"
#include "libposix/process/threads.h"

namespace coracle {
namespace {

// The list is the program's: it may be a circle.
constexpr unsigned kMaxEntries = 2048;
constexpr uint64_t kPriorityInheritance = 1;  // in an entry's address

uint64_t address_of(uint64_t entry) {
    return entry & ~kPriorityInheritance;
}

struct RobustListHead {
    uint64_t first;
    int64_t futex_offset;
    uint64_t pending;  // being taken or released when the thread ended
};

void wake_waiter(uint64_t word) {
    (void)futex_wake({word, FutexScope::kShared}, 1, kFutexMatchAny);
}

// False: the word cannot be reached, so nothing of the list is to be trusted.
bool orphan(uint64_t word, bool inherits_priority, bool is_pending, uint32_t tid) {
    if (word % sizeof(uint32_t) != 0) return false;
    auto read = read_futex(word);
    if (!read.ok()) return false;
    uint32_t value = *read;
    const uint32_t owner = value & FUTEX_TID_MASK;
    if (is_pending && !inherits_priority && owner == 0) {
        wake_waiter(word);  // released, but whoever waits was not told yet
        return true;
    }
    for (;;) {
        if ((value & FUTEX_TID_MASK) != tid) return true;
        const uint32_t old = value;
        const uint32_t orphaned = (old & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (!compare_exchange_user(word, &value, orphaned)) return false;
        if (value == old) break;
    }
    if (!inherits_priority && (value & FUTEX_WAITERS)) wake_waiter(word);
    return true;
}

}  // namespace

void release_robust_mutexes() {
    const Thread& thread = *current_thread();
    const uint64_t list = thread.state->robust_list;
    if (!list) return;
    auto head = UserIn<RobustListHead>(list).read();
    if (!head.ok()) return;

    const auto orphan_entry = [&](uint64_t entry, bool is_pending) {
        const uint64_t word = address_of(entry) + static_cast<uint64_t>(head->futex_offset);
        return orphan(word, entry & kPriorityInheritance, is_pending, thread.tid);
    };
    uint64_t entry = head->first;
    for (unsigned i = 0; i < kMaxEntries && address_of(entry) != list; i++) {
        // Read first: whoever is woken may take the entry out.
        auto next = UserIn<uint64_t>(address_of(entry)).read();
        const bool is_pending = address_of(entry) == address_of(head->pending);
        if (!is_pending && !orphan_entry(entry, false)) return;
        if (!next.ok()) return;
        entry = *next;
    }
    if (address_of(head->pending)) orphan_entry(head->pending, true);
}

}  // namespace coracle
