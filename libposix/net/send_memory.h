// The memory of what a socket has sent and no device has taken yet: who has sent SO_SNDBUF of it
// waits, so that a fast sender of datagrams loses none on its own machine (Linux's sk_wmem_alloc).
// What a device's queue takes at once is not counted; it is small, and the device's to limit.
//
// Locks: the kernel lock, which may be held locally. Wake-ups come under the lock held alone.
#pragma once

#include <poll.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "kernel-min/sched/wait.h"

namespace coracle::net {

class SendMemory {
  public:
    // Shared by the socket and its packets on their way.
    class Account : public RefCounted<Account> {
      public:
        explicit Account(WaitQueue& changed) : changed_(&changed) {}

        // A packet waits for its device, and does no more. It holds a reference meanwhile.
        void charge(size_t memory);
        void discharge(size_t memory);

      private:
        friend class SendMemory;
        void wake_sender();

        WaitQueue* changed_;  // null: the socket is gone
        std::atomic<size_t> queued_{0};
        std::atomic<size_t> low_water_{0};  // the sender is woken at this
        std::atomic<bool> is_awaited_{false};
        Account* next_to_wake_ = nullptr;
        bool is_to_wake_ = false;
    };

    explicit SendMemory(WaitQueue& changed) : changed_(changed) {}
    ~SendMemory();
    SendMemory(const SendMemory&) = delete;

    // Before a send: waits while `limit` bytes or more are queued. The socket's pending error,
    // which it takes, and EPIPE when it is shut end the wait; ENOBUFS, and what SocketWait answers.
    template <typename Wait>
    Result<void> wait_for_room(size_t limit, Wait wait, int& error, const bool& is_shut) {
        TRY(prepare());
        while (!has_room(limit)) [[unlikely]] {
                if (error) return Error(std::exchange(error, 0));
                if (is_shut) return Error(EPIPE);
                TRY(wait.until(changed_, [&] { return has_room(limit) || error || is_shut; }));
            }
        return {};
    }
    Account* account() const { return account_.get(); }

    size_t queued() const { return account_ ? account_->queued_.load() : 0; }
    // What poll(2) says of sending. Nothing: the socket's queue is woken when half of the limit is
    // free.
    uint32_t poll_events(size_t limit) { return is_below(limit / 2, limit) ? kWritable : 0; }

    // Deferred work (deferred_work.h).
    static void wake_senders();

  private:
    Result<void> prepare() {
        if (account_) [[likely]]
            return {};
        return make_account();
    }
    static constexpr uint32_t kWritable = POLLOUT | POLLWRNORM | POLLWRBAND;
    Result<void> make_account();
    bool has_room(size_t limit) { return is_below(limit, limit); }
    bool is_below(size_t memory, size_t limit);

    WaitQueue& changed_;
    RefPtr<Account> account_;  // from the first send on
};

}  // namespace coracle::net
