// System V semaphores: sets whose values change together or not at all (man 2 semop).
//
// Calls that cannot go on wait in the order in which they came; whoever changes a value carries out
// what has become possible, on behalf of those that wait.
#pragma once

#include <sys/sem.h>

#include <boost/intrusive/list.hpp>
#include <memory>
#include <span>

#include "kernel-min/sched/wait.h"
#include "libposix/ipc/ipc_object.h"

namespace coracle {

class Process;

class SemaphoreSet : public IpcObject, public RefCounted<SemaphoreSet> {
  public:
    static constexpr int kMaxValue = 32767;  // SEMVMX
    static constexpr unsigned kMaxPerSet = 32000, kMaxSets = 32000, kMaxOperations = 500;

    static Result<RefPtr<SemaphoreSet>> create(unsigned count);
    ~SemaphoreSet();

    unsigned count() const { return count_; }
    uint16_t value(unsigned index) const { return semaphores_[index].value; }
    int32_t last_pid(unsigned index) const { return semaphores_[index].pid; }
    // GETNCNT and GETZCNT: who waits for the value to grow, or for zero.
    int waiters(unsigned index, bool for_zero) const;

    // semop(2). EAGAIN (IPC_NOWAIT, or the deadline), ERANGE, EIDRM, EINTR, ENOMEM.
    Result<void> operate(std::span<const sembuf> operations, Deadline deadline);
    // SETVAL and SETALL, whose undo values are forgotten.
    void set(unsigned index, uint16_t value);
    void set_all(const uint16_t* values);
    // The set was removed: those who wait get EIDRM.
    void wake_for_removal();
    // A process ended: what it did with SEM_UNDO is undone.
    void undo(int32_t pid);

    int64_t operate_time = 0, change_time = 0;

  private:
    struct Semaphore {
        uint16_t value = 0;
        int32_t pid = 0;
    };
    struct Undo {  // of one process
        int32_t pid;
        std::unique_ptr<int16_t[]> adjustments;
        std::unique_ptr<Undo> next;
    };
    struct Waiter : boost::intrusive::list_base_hook<
                        boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
        std::span<const sembuf> operations;
        int32_t pid;
        Undo* undo;
        const sembuf* blocked_at;
        int error = 0;
        bool done = false;
        WaitQueue woken;
    };
    enum class Outcome { kDone, kBlocked, kError };

    // All of them, or nothing. kBlocked: `at` is the one that must wait. kError: `error`.
    Outcome attempt(std::span<const sembuf> operations, int32_t pid, Undo* undo, const sembuf*& at,
                    int& error);
    void carry_out_waiting();
    Result<Undo*> undo_of(int32_t pid);

    unsigned count_ = 0;
    std::unique_ptr<Semaphore[]> semaphores_;
    std::unique_ptr<Undo> undos_;
    boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> waiters_;
};

IpcTable<SemaphoreSet>& semaphore_sets();

}  // namespace coracle
