// futex_waitv: waits for any of several words.
#include <linux/futex.h>

#include <memory>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/futex.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

struct Item {
    NamedFutex futex;
    FutexWaiter waiter;
    uint64_t address;
    uint32_t value;
};

Result<void> read_items(UserIn<struct futex_waitv> from, Item* items, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        const struct futex_waitv wanted = TRY(from.read(i));
        constexpr uint32_t kKnown = FUTEX_32 | FUTEX_PRIVATE_FLAG;
        if ((wanted.flags & ~kKnown) || wanted.__reserved) return Error(EINVAL);
        if (!(wanted.flags & FUTEX_32)) return Error(EINVAL);
        items[i].address = wanted.uaddr;
        items[i].value = static_cast<uint32_t>(wanted.val);
        items[i].waiter.key.offset_and_kind = wanted.flags & FUTEX_PRIVATE_FLAG;
    }
    return {};
}

Result<void> name_items(Item* items, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        const bool is_private = items[i].waiter.key.offset_and_kind;
        const FutexScope scope = is_private ? FutexScope::kPrivate : FutexScope::kShared;
        items[i].futex = TRY(name_futex({items[i].address, scope}));
        items[i].waiter.key = items[i].futex.key;
        items[i].waiter.thread = current_thread();
        items[i].waiter.rank = current_thread()->key.rank;
    }
    return {};
}

// The index of a word that somebody woke, or -1: of several the last, as on Linux.
long find_woken(const Item* items, unsigned count) {
    for (unsigned i = count; i-- > 0;) {
        if (items[i].waiter.is_woken) return i;
    }
    return -1;
}

Result<long> wait_for_any(Item* items, unsigned count, FutexLimit limit) {
    for (unsigned i = 0; i < count; i++) {
        futexes().add(items[i].waiter);
        auto found = read_futex(items[i].address);
        const long woken = find_woken(items, i + 1);
        if (woken >= 0) return woken;
        if (!found.ok()) return found.error();
        if (*found != items[i].value) return Error(EAGAIN);
    }
    Thread& thread = *current_thread();
    WaitEntry clock_entry;
    if (limit.is_realtime) wall_clock_changes().add(clock_entry);
    for (;;) {
        thread.woken = false;
        if (const long woken = find_woken(items, count); woken >= 0) return woken;
        auto slept = sleep_until_woken(limit.deadline(), Interruptible::kYes);
        if (const long woken = find_woken(items, count); woken >= 0) return woken;
        if (!slept.ok()) return slept.error();
    }
}

}  // namespace

Result<long> sys_futex_waitv(UserIn<struct futex_waitv> waiters, unsigned int count,
                             unsigned int flags, UserIn<timespec> timeout, int clock) {
    if (flags) return Error(EINVAL);
    if (count == 0 || count > FUTEX_WAITV_MAX || !waiters) return Error(EINVAL);
    FutexLimit limit;
    if (timeout) {
        if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return Error(EINVAL);
        const timespec time = TRY(timeout.read());
        if (!is_valid(time)) return Error(EINVAL);
        limit = {to_ns(time), clock == CLOCK_REALTIME};
    }
    std::unique_ptr<Item[]> items(new (std::nothrow) Item[count]);
    if (!items) return Error(ENOMEM);
    TRY(read_items(waiters, items.get(), count));
    TRY(name_items(items.get(), count));
    return wait_for_any(items.get(), count, limit);
}

}  // namespace coracle
