// msgget, msgsnd, msgrcv, msgctl.
#include <algorithm>
#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/ipc/message_queue.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint32_t kRead = 4, kWrite = 2;
constexpr int kMsgStatAny = 13;               // MSG_STAT_ANY
constexpr size_t kTextOffset = sizeof(long);  // of mtext in struct msgbuf

Result<std::unique_ptr<MessageQueue::Message>> read_message(uint64_t address, size_t size) {
    auto message = TRY(make_unique_object<MessageQueue::Message>());
    message->text.reset(new (std::nothrow) char[std::max<size_t>(size, 1)]);
    if (!message->text) return Error(ENOMEM);
    message->size = size;
    TRY(UserIn<char>(address + kTextOffset).read_array(message->text.get(), size));
    return message;
}

Result<long> write_message(const MessageQueue::Message& message, uint64_t address, size_t room) {
    const size_t size = std::min(message.size, room);
    TRY(UserOut<long>(address).write(message.type));
    TRY(UserOut<char>(address + kTextOffset).write_array(message.text.get(), size));
    return static_cast<long>(size);
}

// MSG_COPY: the message stays, so it is copied before anything can sleep.
Result<long> copy_message(MessageQueue& queue, const MessageQueue::Wish& wish, uint64_t address,
                          size_t room) {
    MessageQueue::Message* found = TRY(queue.wait_for(wish, room));
    MessageQueue::Message copy;
    copy.type = found->type;
    copy.size = found->size;
    copy.text.reset(new (std::nothrow) char[std::max<size_t>(copy.size, 1)]);
    if (!copy.text) return Error(ENOMEM);
    memcpy(copy.text.get(), found->text.get(), copy.size);
    return write_message(copy, address, room);
}

void fill(const MessageQueue& queue, msqid_ds& to) {
    memset(&to, 0, sizeof(to));
    queue.fill(to.msg_perm);
    to.msg_stime = queue.send_time;
    to.msg_rtime = queue.receive_time;
    to.msg_ctime = queue.change_time;
    to.__msg_cbytes = queue.bytes();
    to.msg_qnum = queue.count();
    to.msg_qbytes = queue.max_bytes;
    to.msg_lspid = queue.last_sender;
    to.msg_lrpid = queue.last_receiver;
}

// IPC_INFO and MSG_INFO.
Result<long> information(int command, uint64_t address) {
    const IpcTable<MessageQueue>& table = message_queues();
    msginfo info = {};
    info.msgmax = MessageQueue::kMaxMessage;
    info.msgmnb = MessageQueue::kDefaultBytes;
    info.msgmni = static_cast<int>(MessageQueue::kMaxQueues);
    info.msgssz = 16;
    info.msgseg = 0xffff;
    info.msgpool = static_cast<int>(MessageQueue::kMaxQueues * MessageQueue::kDefaultBytes / 1024);
    info.msgmap = info.msgtql = MessageQueue::kDefaultBytes;
    if (command == MSG_INFO) {
        info.msgpool = static_cast<int>(table.count());
        info.msgmap = info.msgtql = 0;
        for (int i = table.last_index(); i >= 0; i--) {
            const MessageQueue* queue = table.at_index(static_cast<unsigned>(i));
            if (!queue) continue;
            info.msgmap += static_cast<int>(queue->count());
            info.msgtql += static_cast<int>(queue->bytes());
        }
    }
    TRY(UserOut<msginfo>(address).write(info));
    return std::max(table.last_index(), 0);
}

Result<long> status(int id, int command, uint64_t address) {
    RefPtr<MessageQueue> queue;
    if (command == IPC_STAT) {
        queue = TRY(message_queues().find(id));
    } else {
        queue = RefPtr<MessageQueue>(message_queues().at_index(static_cast<unsigned>(id)));
        if (!queue) return Error(EINVAL);
    }
    if (command != kMsgStatAny) TRY(queue->check_access(kRead));
    msqid_ds to;
    fill(*queue, to);
    TRY(UserOut<msqid_ds>(address).write(to));
    return command == IPC_STAT ? 0 : queue->id;
}

}  // namespace

Result<long> sys_msgget(int key, int flags) {
    return TRY(message_queues().get(
        key, flags, [] { return make_ref<MessageQueue>(); },
        [](MessageQueue&) -> Result<void> { return {}; }));
}

Result<long> sys_msgsnd(int id, unsigned long message, size_t size, int flags) {
    const long type = TRY(UserIn<long>(message).read());
    if (size > MessageQueue::kMaxMessage || id < 0) return Error(EINVAL);
    if (type < 1) return Error(EINVAL);
    auto copy = TRY(read_message(message, size));
    copy->type = type;
    RefPtr<MessageQueue> queue = TRY(message_queues().find(id));
    TRY(queue->check_access(kWrite));
    TRY(queue->send(std::move(copy), flags));
    return 0;
}

Result<long> sys_msgrcv(int id, unsigned long message, size_t size, long type, int flags) {
    if (id < 0 || static_cast<long>(size) < 0) return Error(EINVAL);
    if ((flags & MSG_COPY) && ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))) {
        return Error(EINVAL);
    }
    RefPtr<MessageQueue> queue = TRY(message_queues().find(id));
    TRY(queue->check_access(kRead));
    const MessageQueue::Wish wish = {type, flags};
    if (flags & MSG_COPY) return copy_message(*queue, wish, message, size);
    MessageQueue::Message* found = TRY(queue->wait_for(wish, size));
    // As on Linux, it is gone even if the program cannot have it.
    std::unique_ptr<MessageQueue::Message> taken = queue->take(*found);
    return write_message(*taken, message, size);
}

Result<long> sys_msgctl(int id, int command, unsigned long buf) {
    if (id < 0 || command < 0) return Error(EINVAL);
    switch (command) {
        case IPC_INFO:
        case MSG_INFO:
            return information(command, buf);
        case IPC_STAT:
        case MSG_STAT:
        case kMsgStatAny:
            return status(id, command, buf);
        case IPC_SET:
        case IPC_RMID:
            break;
        default:
            return Error(EINVAL);
    }
    msqid_ds given;
    if (command == IPC_SET) given = TRY(UserIn<msqid_ds>(buf).read());
    RefPtr<MessageQueue> queue = TRY(message_queues().find(id));
    TRY(queue->check_owner());
    if (command == IPC_RMID) {
        message_queues().remove(*queue);
        queue->wake();
        return 0;
    }
    const bool may_raise = current_credentials().has_capability(kCapSysResource);
    if (given.msg_qbytes > MessageQueue::kDefaultBytes && !may_raise) return Error(EPERM);
    TRY(queue->change(given.msg_perm));
    queue->max_bytes = given.msg_qbytes;
    queue->change_time = ipc_time();
    queue->wake();
    return 0;
}

}  // namespace coracle
