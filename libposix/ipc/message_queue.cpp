#include "libposix/ipc/message_queue.h"

namespace coracle {

IpcTable<MessageQueue>& message_queues() {
    static constinit IpcTable<MessageQueue> table(MessageQueue::kMaxQueues);
    return table;
}

MessageQueue::~MessageQueue() {
    messages_.clear_and_dispose([](Message* message) { delete message; });
}

Result<void> MessageQueue::send(std::unique_ptr<Message> message, int flags) {
    const size_t size = message->size;
    if (!has_room(size)) {
        if (flags & IPC_NOWAIT) return Error(EAGAIN);
        Result<void> waited =
            wait_until(changed_, Deadline::never(), [&] { return removed || has_room(size); });
        if (removed) return Error(EIDRM);
        if (!waited.ok()) return Error(kErestartnohand);
    }
    messages_.push_back(*message.release());
    count_++;
    bytes_ += size;
    last_sender = ipc_pid();
    send_time = ipc_time();
    changed_.wake_all();
    return {};
}

MessageQueue::Message* MessageQueue::find(const Wish& wish) {
    if (wish.flags & MSG_COPY) {
        long index = wish.type;
        for (Message& message : messages_) {
            if (index-- == 0) return &message;
        }
        return nullptr;
    }
    Message* lowest = nullptr;
    for (Message& message : messages_) {
        if (wish.type == 0) return &message;
        if (wish.type > 0) {
            const bool is_wanted = (message.type == wish.type) != ((wish.flags & MSG_EXCEPT) != 0);
            if (is_wanted) return &message;
            continue;
        }
        // The lowest type up to that one; LONG_MIN has no positive counterpart.
        const bool is_candidate = wish.type == INT64_MIN || message.type <= -wish.type;
        if (is_candidate && (!lowest || message.type < lowest->type)) lowest = &message;
    }
    return lowest;
}

Result<MessageQueue::Message*> MessageQueue::wait_for(const Wish& wish, size_t room) {
    Message* found = find(wish);
    if (!found) {
        if (wish.flags & IPC_NOWAIT) return Error(ENOMSG);
        Result<void> waited = wait_until(changed_, Deadline::never(), [&] {
            return removed || (found = find(wish)) != nullptr;
        });
        if (removed) return Error(EIDRM);
        if (!waited.ok()) return Error(kErestartnohand);
    }
    if (found->size > room && !(wish.flags & MSG_NOERROR)) return Error(E2BIG);
    return found;
}

std::unique_ptr<MessageQueue::Message> MessageQueue::take(Message& message) {
    messages_.erase(messages_.iterator_to(message));
    count_--;
    bytes_ -= message.size;
    note_receipt();
    changed_.wake_all();
    return std::unique_ptr<Message>(&message);
}

void MessageQueue::note_receipt() {
    last_receiver = ipc_pid();
    receive_time = ipc_time();
}

}  // namespace coracle
