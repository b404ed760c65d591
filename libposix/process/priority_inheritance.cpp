#include "libposix/process/priority_inheritance.h"

#include "kernel-min/sched/scheduler.h"
#include "libposix/process/futex.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

uint32_t lent_rank(const Thread& thread) {
    const Inheritance& inheritance = thread.state->inheritance;
    uint32_t rank = inheritance.own_rank;
    for (const LockWaiter& lender : inheritance.lenders) {
        if (lender.rank < rank) rank = lender.rank;
    }
    return rank;
}

// Along the chain of owners, as far as something changes.
void propagate(Thread& first) {
    Thread* thread = &first;
    while (thread) {
        const Inheritance& inheritance = thread->state->inheritance;
        const uint32_t rank = lent_rank(*thread);
        if (rank == thread->key.rank && inheritance.own_weight == thread->weight) return;
        set_entitlement(*thread, rank, inheritance.own_weight);
        LockWaiter* waiter = inheritance.blocked_on;
        if (!waiter) return;
        waiter->rank = rank;
        futexes().move(*waiter, waiter->key);
        thread = waiter->owner;
    }
}

}  // namespace

void set_own_entitlement(Thread& thread, uint32_t rank, uint32_t weight) {
    thread.state->inheritance.own_rank = rank;
    thread.state->inheritance.own_weight = weight;
    propagate(thread);
}

void start_lending(LockWaiter& waiter, Thread& owner) {
    waiter.owner = &owner;
    waiter.thread->state->inheritance.blocked_on = &waiter;
    owner.state->inheritance.lenders.push_back(waiter);
    propagate(owner);
}

void stop_lending(LockWaiter& waiter) {
    waiter.LenderHook::unlink();
    waiter.thread->state->inheritance.blocked_on = nullptr;
    Thread* owner = waiter.owner;
    waiter.owner = nullptr;
    if (owner) propagate(*owner);
}

bool waits_for(const Thread& owner, const Thread& thread) {
    const Thread* at = &owner;
    while (at && at != &thread) {
        const LockWaiter* waiter = at->state->inheritance.blocked_on;
        at = waiter ? waiter->owner : nullptr;
    }
    return at != nullptr;
}

}  // namespace coracle
