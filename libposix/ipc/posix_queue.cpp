#include "libposix/ipc/posix_queue.h"

#include <poll.h>
#include <signal.h>

#include <algorithm>

#include "kernel-min/lib/text_line.h"
#include "libposix/files/inode_file.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

PosixQueue::~PosixQueue() {
    messages_.clear_and_dispose([](Message* message) { delete message; });
}

Result<void> PosixQueue::send(std::unique_ptr<Message> message, bool nonblocking,
                              Deadline deadline) {
    if (count_ == max_messages) {
        if (nonblocking) return Error(EAGAIN);
        TRY(wait_until(changed, deadline, [this] { return count_ < max_messages; }));
    }
    const bool was_empty = count_ == 0;
    message->order = next_order_++;
    count_++;
    bytes_ += message->size;
    messages_.insert(*message.release());
    changed.wake_all(POLLIN | POLLRDNORM);
    // A receiver that waits takes the message: then the queue was never seen with one.
    if (was_empty && receivers_ == 0) notify();
    return {};
}

Result<std::unique_ptr<PosixQueue::Message>> PosixQueue::receive(bool nonblocking,
                                                                 Deadline deadline) {
    if (count_ == 0) {
        if (nonblocking) return Error(EAGAIN);
        receivers_++;
        Result<void> waited = wait_until(changed, deadline, [this] { return count_ != 0; });
        receivers_--;
        if (!waited.ok()) return waited.error();
    }
    Message& first = *messages_.begin();
    messages_.erase(messages_.begin());
    count_--;
    bytes_ -= first.size;
    changed.wake_all(POLLOUT | POLLWRNORM);
    return std::unique_ptr<Message>(&first);
}

Result<void> PosixQueue::set_notification(Process& process, const struct sigevent& event) {
    if (notified_) return Error(EBUSY);
    notified_ = &process;
    notification_kind_ = event.sigev_notify;
    notification_signal_ = event.sigev_notify == SIGEV_SIGNAL ? event.sigev_signo : 0;
    notification_value_ = reinterpret_cast<uint64_t>(event.sigev_value.sival_ptr);
    return {};
}

void PosixQueue::clear_notification(Process& process) {
    if (notified_ == &process) notified_ = nullptr;
}

// Once: whoever wants to hear of the next message asks again.
void PosixQueue::notify() {
    Process* process = std::exchange(notified_, nullptr);
    if (!process || notification_kind_ != SIGEV_SIGNAL) return;
    const Process& sender = *current_process();
    SignalInfo info;
    info.signo = notification_signal_;
    info.code = kSiMesgq;
    info.kill.pid = static_cast<int32_t>(sender.pid);
    info.kill.uid = sender.credentials.uid;
    info.kill.value = notification_value_;
    (void)send_signal(*process, info);
}

size_t PosixQueue::describe(char* to, size_t size) const {
    const bool signals = notified_ && notification_kind_ == SIGEV_SIGNAL;
    TextLine<128> line;
    line.put("QSIZE:").put_decimal(bytes_).pad_to(16);
    line.put(" NOTIFY:").put_decimal(notified_ ? static_cast<uint64_t>(notification_kind_) : 0);
    line.pad_to(29).put(" SIGNO:");
    line.put_decimal(signals ? static_cast<uint64_t>(notification_signal_) : 0).pad_to(41);
    line.put(" NOTIFY_PID:").put_decimal(notified_ ? notified_->pid : 0).pad_to(59).put('\n');
    const std::string_view text = line.view();
    const size_t length = std::min(size, text.size());
    std::copy_n(text.data(), length, to);
    return length;
}

uint32_t PosixQueue::poll_events() const {
    uint32_t events = 0;
    if (count_ != 0) events |= POLLIN | POLLRDNORM;
    if (count_ < max_messages) events |= POLLOUT | POLLWRNORM;
    return events;
}

Result<size_t> PosixQueueFile::read(IoBuffer& to, uint64_t& position) {
    char text[128];
    const size_t length = queue_->describe(text, sizeof(text));
    if (position >= length) return size_t{0};
    const size_t part = std::min<size_t>(to.size(), length - position);
    const size_t moved = to.copy_out(text + position, part);
    if (moved == 0 && part != 0) return Error(EFAULT);
    position += moved;
    return moved;
}

Result<uint64_t> PosixQueueFile::seek(int64_t offset, int whence) {
    position = TRY(seek_to(position, 60, offset, whence));
    return position;
}

}  // namespace coracle
