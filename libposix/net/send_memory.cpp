#include "libposix/net/send_memory.h"

#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/net/deferred_work.h"

namespace coracle::net {

namespace {

// Those whose senders are to be woken under the lock held alone; each holds a reference.
constinit LocalLock to_wake_lock;
constinit SendMemory::Account* to_wake = nullptr;

}  // namespace

SendMemory::~SendMemory() {
    if (account_) account_->changed_ = nullptr;
}

Result<void> SendMemory::make_account() {
    Result<RefPtr<Account>> made = make_ref<Account>(changed_);
    if (!made) return Error(ENOBUFS);
    account_ = made.release_value();
    return {};
}

// Who lets go of memory tests is_awaited_ after it has counted: one of both sees the other.
bool SendMemory::is_below(size_t memory, size_t limit) {
    if (queued() < memory || !account_) return true;
    account_->low_water_.store(limit / 2);
    account_->is_awaited_.store(true);
    return queued() < memory;
}

void SendMemory::Account::charge(size_t memory) {
    ref();
    queued_.fetch_add(memory);
}

void SendMemory::Account::discharge(size_t memory) {
    const size_t left = queued_.fetch_sub(memory) - memory;
    if (is_awaited_.load() && left <= low_water_.load() && is_awaited_.exchange(false)) {
        wake_sender();
    }
    unref();
}

void SendMemory::Account::wake_sender() {
    if (!holds_lock_locally()) {
        if (changed_) changed_->wake_all(kWritable);
        return;
    }
    LocalLockGuard guard(to_wake_lock);
    if (std::exchange(is_to_wake_, true)) return;
    ref();
    next_to_wake_ = std::exchange(to_wake, this);
    do_deferred_work();
}

void SendMemory::wake_senders() {
    while (to_wake) {
        RefPtr<Account> account = adopt_ref(to_wake);
        to_wake = account->next_to_wake_;
        account->is_to_wake_ = false;
        account->wake_sender();
    }
}

}  // namespace coracle::net
