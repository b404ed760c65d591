// eventfd, eventfd2 (man 2 eventfd): a counter to wait on.
#include <sys/eventfd.h>

#include "libposix/files/events/anonymous_file.h"
#include "libposix/fs/pseudo/text_buffer.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

class EventFile final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kEventFd;
    static constexpr uint64_t kMaximum = UINT64_MAX - 1;

    EventFile(const Path& path, RefPtr<Inode> inode, uint32_t flags, uint64_t count,
              bool is_semaphore)
        : AnonymousFile(path, std::move(inode), flags),
          count_(count),
          is_semaphore_(is_semaphore),
          id_(next_id++) {
        kind_ = kKind;
    }

    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        if (to.size() < sizeof(count_)) return Error(EINVAL);
        if (count_ == 0) [[unlikely]]
            TRY(wait_for_count());
        // What cannot be copied is lost, as on Linux.
        uint64_t taken = is_semaphore_ ? 1 : count_;
        count_ -= taken;
        changed_.wake_one(POLLOUT);
        if (!to.put(taken) && to.copy_out(&taken, sizeof(taken)) != sizeof(taken)) {
            return Error(EFAULT);
        }
        return sizeof(taken);
    }

    Result<size_t> write(IoBuffer& from, uint64_t&) override {
        if (from.size() < sizeof(count_)) return Error(EINVAL);
        uint64_t added;
        if (!from.take(added) && from.copy_in(&added, sizeof(added)) != sizeof(added)) {
            return Error(EFAULT);
        }
        if (added > kMaximum) return Error(EINVAL);
        if (added > kMaximum - count_) [[unlikely]]
            TRY(wait_for_room(added));
        count_ += added;
        changed_.wake_one(POLLIN);
        return sizeof(added);
    }

    uint32_t poll_events() override {
        return (count_ != 0 ? POLLIN : 0) | (count_ < kMaximum ? POLLOUT : 0);
    }
    WaitQueue* wait_queue() override { return &changed_; }
    void describe_state(TextBuffer& to) override {
        to.print("eventfd-count: %16lx\neventfd-id: %d\n", count_, id_);
    }

  private:
    // Out of line: what seldom happens should not cost the rest.
    [[gnu::noinline]] Result<void> wait_for_count() {
        if (is_nonblocking()) return Error(EAGAIN);
        return wait_until(changed_, Deadline::never(), [&] { return count_ != 0; });
    }
    [[gnu::noinline]] Result<void> wait_for_room(uint64_t added) {
        if (is_nonblocking()) return Error(EAGAIN);
        return wait_until(changed_, Deadline::never(), [&] { return added <= kMaximum - count_; });
    }

    static inline int next_id = 0;

    uint64_t count_;  // 0..kMaximum
    const bool is_semaphore_;
    const int id_;
    WaitQueue changed_;
};

}  // namespace

Result<long> sys_eventfd2(unsigned count, int flags) {
    if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) return Error(EINVAL);
    auto open_flags = static_cast<uint32_t>(flags & ~EFD_SEMAPHORE) | O_RDWR;
    return open_event_file<EventFile>("[eventfd]", open_flags, uint64_t{count},
                                      (flags & EFD_SEMAPHORE) != 0);
}

Result<long> sys_eventfd(unsigned count) {
    return sys_eventfd2(count, 0);
}

}  // namespace coracle
