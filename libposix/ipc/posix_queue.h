// POSIX message queues (man 7 mq_overview): messages in the order of their priorities, under a
// name without slashes that lives as long as the queue is not unlinked.
#pragma once

#include <mqueue.h>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <memory>

#include "libposix/files/file.h"
#include "libposix/signals/signal_abi.h"

namespace coracle {

class Process;

class PosixQueue : public RefCounted<PosixQueue> {
  public:
    static constexpr unsigned kMaxPriority = 32768;  // MQ_PRIO_MAX, which is too much
    // fs.mqueue: defaults, what anybody may ask for, and what the privileged may.
    static constexpr long kDefaultMessages = 10, kDefaultSize = 8192;
    static constexpr long kMaxMessages = 10, kMaxSize = 8192;
    static constexpr long kHardMaxMessages = 65536, kHardMaxSize = 16 * 1024 * 1024;
    static constexpr size_t kMaxQueues = 256;

    struct Message : boost::intrusive::set_base_hook<> {
        unsigned priority;
        uint64_t order;  // of arrival
        size_t size;
        std::unique_ptr<char[]> text;
        bool operator<(const Message& other) const {
            return priority != other.priority ? priority > other.priority : order < other.order;
        }
    };

    PosixQueue(long queue_messages, long queue_size)
        : max_messages(queue_messages), max_size(queue_size) {}
    ~PosixQueue();

    // EAGAIN, ETIMEDOUT, kErestartsys.
    Result<void> send(std::unique_ptr<Message> message, bool nonblocking, Deadline deadline);
    Result<std::unique_ptr<Message>> receive(bool nonblocking, Deadline deadline);

    // mq_notify(3): who hears of a message in the empty queue. EBUSY: somebody does already.
    Result<void> set_notification(Process& process, const struct sigevent& event);
    void clear_notification(Process& process);

    long count() const { return count_; }
    size_t bytes() const { return bytes_; }
    // "QSIZE:... NOTIFY:... SIGNO:... NOTIFY_PID:...", which read(2) gives.
    size_t describe(char* to, size_t size) const;
    uint32_t poll_events() const;

    const long max_messages, max_size;
    WaitQueue changed;

  private:
    void notify();

    boost::intrusive::set<Message> messages_;
    long count_ = 0;
    size_t bytes_ = 0;
    uint64_t next_order_ = 0;
    unsigned receivers_ = 0;  // that wait
    Process* notified_ = nullptr;
    int notification_kind_ = 0, notification_signal_ = 0;  // SIGEV_*
    uint64_t notification_value_ = 0;
};

class PosixQueueFile final : public File {
  public:
    static constexpr FileKind kKind = FileKind::kMessageQueue;

    PosixQueueFile(const Path& path, RefPtr<Inode> inode, uint32_t flags, RefPtr<PosixQueue> queue)
        : File(path, std::move(inode), flags), queue_(std::move(queue)) {
        kind_ = kKind;
        seekable_ = true;
    }
    PosixQueue& queue() const { return *queue_; }

    Result<size_t> read(IoBuffer& to, uint64_t& position) override;
    Result<uint64_t> seek(int64_t offset, int whence) override;
    uint32_t poll_events() override { return queue_->poll_events(); }
    WaitQueue* wait_queue() override { return &queue_->changed; }
    void descriptor_closed(Process& process) override { queue_->clear_notification(process); }

  private:
    RefPtr<PosixQueue> queue_;
};

}  // namespace coracle
