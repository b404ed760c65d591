// System V message queues (man 2 msgop).
#pragma once

#include <sys/msg.h>

#include <boost/intrusive/list.hpp>
#include <memory>

#include "kernel-min/sched/wait.h"
#include "libposix/ipc/ipc_object.h"

namespace coracle {

class MessageQueue : public IpcObject, public RefCounted<MessageQueue> {
  public:
    static constexpr size_t kMaxMessage = 8192;     // kernel.msgmax
    static constexpr size_t kDefaultBytes = 16384;  // kernel.msgmnb
    static constexpr unsigned kMaxQueues = 32000;   // kernel.msgmni

    struct Message : boost::intrusive::list_base_hook<> {
        long type;
        size_t size;
        std::unique_ptr<char[]> text;
    };
    // Which message msgrcv(2) wants: `type` as there; MSG_EXCEPT, MSG_COPY in the flags.
    struct Wish {
        long type;
        int flags;
    };

    MessageQueue() { change_time = ipc_time(); }
    ~MessageQueue();

    // EAGAIN (IPC_NOWAIT), EIDRM, kErestartnohand.
    Result<void> send(std::unique_ptr<Message> message, int flags);
    // Waits until there is one, which stays in the queue: the caller copies it and takes it at
    // once. ENOMSG, E2BIG, EIDRM, kErestartnohand.
    Result<Message*> wait_for(const Wish& wish, size_t room);
    std::unique_ptr<Message> take(Message& message);
    void note_receipt();
    // The queue was removed, or its limit raised: those who wait look again.
    void wake() { changed_.wake_all(); }

    size_t count() const { return count_; }
    size_t bytes() const { return bytes_; }

    size_t max_bytes = kDefaultBytes;
    int32_t last_sender = 0, last_receiver = 0;
    int64_t send_time = 0, receive_time = 0, change_time = 0;

  private:
    bool has_room(size_t size) const {
        return bytes_ + size <= max_bytes && count_ + 1 <= max_bytes;
    }
    Message* find(const Wish& wish);

    using MessageList = boost::intrusive::list<Message>;
    MessageList messages_;
    size_t count_ = 0, bytes_ = 0;
    WaitQueue changed_;
};

IpcTable<MessageQueue>& message_queues();

}  // namespace coracle
