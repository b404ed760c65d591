#include "libposix/ipc/semaphore_set.h"

#include <algorithm>

#include "kernel-min/memory/heap.h"

namespace coracle {

IpcTable<SemaphoreSet>& semaphore_sets() {
    static constinit IpcTable<SemaphoreSet> table(SemaphoreSet::kMaxSets);
    return table;
}

Result<RefPtr<SemaphoreSet>> SemaphoreSet::create(unsigned count) {
    RefPtr<SemaphoreSet> set = TRY(make_ref<SemaphoreSet>());
    set->semaphores_.reset(new (std::nothrow) Semaphore[count]);
    if (!set->semaphores_) return Error(ENOMEM);
    set->count_ = count;
    set->change_time = ipc_time();
    return set;
}

SemaphoreSet::~SemaphoreSet() {
    // One by one: a chain of owners would be destroyed recursively.
    while (undos_) undos_ = std::move(undos_->next);
}

int SemaphoreSet::waiters(unsigned index, bool for_zero) const {
    int count = 0;
    for (const Waiter& waiter : waiters_) {
        const sembuf& operation = *waiter.blocked_at;
        count += operation.sem_num == index && (operation.sem_op == 0) == for_zero;
    }
    return count;
}

SemaphoreSet::Outcome SemaphoreSet::attempt(std::span<const sembuf> operations, int32_t pid,
                                            Undo* undo, const sembuf*& at, int& error) {
    size_t done = 0;
    Outcome outcome = Outcome::kDone;
    for (; done < operations.size(); done++) {
        const sembuf& operation = operations[done];
        Semaphore& semaphore = semaphores_[operation.sem_num];
        const int result = semaphore.value + operation.sem_op;
        if ((operation.sem_op == 0 && semaphore.value != 0) || result < 0) {
            at = &operation;
            outcome = operation.sem_flg & IPC_NOWAIT ? Outcome::kError : Outcome::kBlocked;
            error = EAGAIN;
            break;
        }
        if (result > kMaxValue) {
            error = ERANGE;
            outcome = Outcome::kError;
            break;
        }
        if (operation.sem_flg & SEM_UNDO) {
            const int adjustment = undo->adjustments[operation.sem_num] - operation.sem_op;
            if (adjustment < -kMaxValue - 1 || adjustment > kMaxValue) {
                error = ERANGE;
                outcome = Outcome::kError;
                break;
            }
            undo->adjustments[operation.sem_num] = static_cast<int16_t>(adjustment);
        }
        semaphore.value = static_cast<uint16_t>(result);
    }
    if (outcome == Outcome::kDone) {
        for (const sembuf& operation : operations) semaphores_[operation.sem_num].pid = pid;
        operate_time = ipc_time();
        return outcome;
    }
    while (done-- > 0) {
        const sembuf& operation = operations[done];
        Semaphore& semaphore = semaphores_[operation.sem_num];
        semaphore.value = static_cast<uint16_t>(semaphore.value - operation.sem_op);
        if (operation.sem_flg & SEM_UNDO) {
            int16_t& adjustment = undo->adjustments[operation.sem_num];
            adjustment = static_cast<int16_t>(adjustment + operation.sem_op);
        }
    }
    return outcome;
}

void SemaphoreSet::carry_out_waiting() {
    // Each success may make another possible, so it starts again from the longest waiting one.
    for (auto next = waiters_.begin(); next != waiters_.end();) {
        Waiter& waiter = *next++;
        const Outcome outcome =
            attempt(waiter.operations, waiter.pid, waiter.undo, waiter.blocked_at, waiter.error);
        if (outcome == Outcome::kBlocked) continue;
        if (outcome == Outcome::kDone) waiter.error = 0;
        waiter.done = true;
        waiter.unlink();
        waiter.woken.wake_all();
        if (outcome == Outcome::kDone) next = waiters_.begin();
    }
}

Result<SemaphoreSet::Undo*> SemaphoreSet::undo_of(int32_t pid) {
    for (Undo* undo = undos_.get(); undo; undo = undo->next.get()) {
        if (undo->pid == pid) return undo;
    }
    auto undo = TRY(make_unique_object<Undo>());
    undo->adjustments.reset(new (std::nothrow) int16_t[count_]());
    if (!undo->adjustments) return Error(ENOMEM);
    undo->pid = pid;
    undo->next = std::move(undos_);
    undos_ = std::move(undo);
    return undos_.get();
}

Result<void> SemaphoreSet::operate(std::span<const sembuf> operations, Deadline deadline) {
    Waiter waiter;
    waiter.operations = operations;
    waiter.pid = ipc_pid();
    const bool undoes = std::any_of(operations.begin(), operations.end(),
                                    [](const sembuf& each) { return each.sem_flg & SEM_UNDO; });
    waiter.undo = undoes ? TRY(undo_of(waiter.pid)) : nullptr;
    switch (attempt(operations, waiter.pid, waiter.undo, waiter.blocked_at, waiter.error)) {
        case Outcome::kDone:
            carry_out_waiting();
            return {};
        case Outcome::kError:
            return Error(waiter.error);
        case Outcome::kBlocked:
            break;
    }
    waiters_.push_back(waiter);
    Result<void> waited = wait_until(waiter.woken, deadline, [&] { return waiter.done; });
    // It may have been carried out while the signal or the end of time was on its way.
    if (waiter.done) return waiter.error == 0 ? Result<void>() : Error(waiter.error);
    return Error(waited.error_code() == ETIMEDOUT ? EAGAIN : EINTR);
}

void SemaphoreSet::set(unsigned index, uint16_t value) {
    semaphores_[index].value = value;
    semaphores_[index].pid = ipc_pid();
    for (Undo* undo = undos_.get(); undo; undo = undo->next.get()) undo->adjustments[index] = 0;
    change_time = ipc_time();
    carry_out_waiting();
}

void SemaphoreSet::set_all(const uint16_t* values) {
    for (unsigned i = 0; i < count_; i++) {
        semaphores_[i] = {values[i], ipc_pid()};
        for (Undo* undo = undos_.get(); undo; undo = undo->next.get()) undo->adjustments[i] = 0;
    }
    change_time = ipc_time();
    carry_out_waiting();
}

void SemaphoreSet::wake_for_removal() {
    while (!waiters_.empty()) {
        Waiter& waiter = waiters_.front();
        waiter.error = EIDRM;
        waiter.done = true;
        waiter.unlink();
        waiter.woken.wake_all();
    }
}

void SemaphoreSet::undo(int32_t pid) {
    for (std::unique_ptr<Undo>* link = &undos_; *link; link = &(*link)->next) {
        if ((*link)->pid != pid) continue;
        for (unsigned i = 0; i < count_; i++) {
            const int adjustment = (*link)->adjustments[i];
            if (adjustment == 0) continue;
            const int value = std::clamp(semaphores_[i].value + adjustment, 0, kMaxValue);
            semaphores_[i] = {static_cast<uint16_t>(value), pid};
        }
        std::unique_ptr<Undo> ended = std::move(*link);
        *link = std::move(ended->next);
        operate_time = ipc_time();
        carry_out_waiting();
        return;
    }
}

}  // namespace coracle
