// The kernel thread of IORING_SETUP_SQPOLL: it takes the requests out of the rings that share it,
// so that the program need not enter the kernel.
//
// While there is work, and for the rings' idle time afterwards, it polls, without the kernel lock;
// then it sets IORING_SQ_NEED_WAKEUP and sleeps until wake(). It is asleep at first and ends after
// its last ring.
//
// Ownership: each ring has a reference, and the thread. A ring may end at any time, so what the
// thread looks at without the lock is its own: a Watch a ring, which nobody else frees.
#pragma once

#include <atomic>
#include <memory>

#include "kernel-min/sched/wait.h"
#include "libposix/files/io_uring/ring_memory.h"
#include "libposix/process/credentials.h"

namespace coracle {

class IoUring;

class SubmissionPoller : public RefCounted<SubmissionPoller> {
  public:
    struct Watch {
        Watch(RefPtr<RingMemory> rings, uint64_t idle, const Credentials& who)
            : memory(std::move(rings)), idle_ns(idle), credentials(who) {}
        const RefPtr<RingMemory> memory;
        const uint64_t idle_ns;
        const Credentials credentials;  // of who set the ring up: its requests' rights
        IoUring* ring = nullptr;  // null again once it has ended
        std::atomic<bool> is_enabled = false;
        Watch* next = nullptr;
    };

    // On the CPUs of `affinity`. The caller adds a ring before it sleeps. EAGAIN, ENOMEM.
    static Result<RefPtr<SubmissionPoller>> start(uint64_t affinity);

    // Neither sleeps. The ring sets is_enabled when its requests may be taken.
    Watch* add(std::unique_ptr<Watch> watch, IoUring& ring);
    void remove(Watch& watch);

    // Makes the thread look at its rings.
    void wake();
    // Null once it has ended.
    const Thread* thread() const { return thread_; }

  private:
    static void run(void* poller);
    void poll_rings();
    // Takes requests and goes on with those that are ready. Whether there were any.
    bool serve();
    void sleep();
    void drop_ended_rings();
    bool has_work() const;  // needs no lock
    uint64_t idle_end_ns() const;

    Thread* thread_ = nullptr;
    std::atomic<Watch*> first_ = nullptr;
    std::atomic<bool> is_asked_ = false;  // by wake()
    WaitQueue asked_;
};

}  // namespace coracle
