// process_vm_readv(2), process_vm_writev(2). There is one process, so both sides are its own.
#include "libposix/memory/memory_calls.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

constexpr uint64_t kMaxSegments = 1024;  // UIO_MAXIOV

// Walks a list of segments in the application's memory.
class SegmentCursor {
  public:
    SegmentCursor(uint64_t list, uint64_t count) : list_(list), left_(count) {}

    // Makes `current` the next bytes that are not consumed. False at the end; EFAULT.
    Result<bool> advance() {
        while (current.iov_len == 0) {
            if (left_ == 0) return false;
            current = TRY(list_.read());
            list_ = list_ + 1;
            left_--;
            auto address = reinterpret_cast<uint64_t>(current.iov_base);
            if (!is_user_range(address, current.iov_len)) return Error(EFAULT);
        }
        return true;
    }
    uint64_t address() const { return reinterpret_cast<uint64_t>(current.iov_base); }
    void consume(size_t size) {
        current.iov_base = static_cast<char*>(current.iov_base) + size;
        current.iov_len -= size;
    }

    struct iovec current = {};

  private:
    UserIn<struct iovec> list_;
    uint64_t left_;
};

Result<void> check_process(int pid) {
    const Thread& thread = *current_thread();
    bool is_self = pid > 0 && (static_cast<uint32_t>(pid) == thread.tid ||
                               static_cast<uint32_t>(pid) == thread.process->pid);
    if (!is_self) return Error(ESRCH);
    return {};
}

// Moves bytes until one list ends. What was moved before a fault counts.
Result<long> transfer(SegmentCursor from, SegmentCursor to) {
    long total = 0;
    char bytes[512];
    for (;;) {
        auto has_source = from.advance(), has_target = to.advance();
        bool failed = !has_source || !has_target;
        if (failed && total == 0) return has_source ? has_target.error() : has_source.error();
        if (failed || !has_source.value() || !has_target.value()) return total;
        size_t size = sizeof(bytes);
        if (from.current.iov_len < size) size = from.current.iov_len;
        if (to.current.iov_len < size) size = to.current.iov_len;
        size_t read = copy_from_user_partial(bytes, from.address(), size);
        size_t written = copy_to_user_partial(to.address(), bytes, read);
        total += static_cast<long>(written);
        if (written < size) return total > 0 ? Result<long>(total) : Error(EFAULT);
        from.consume(size);
        to.consume(size);
    }
}

Result<void> check_arguments(int pid, unsigned long local_count, unsigned long remote_count,
                             unsigned long flags) {
    if (flags != 0 || local_count > kMaxSegments || remote_count > kMaxSegments) {
        return Error(EINVAL);
    }
    return check_process(pid);
}

}  // namespace

Result<long> sys_process_vm_readv(int pid, UserIn<struct iovec> local, unsigned long local_count,
                                  UserIn<struct iovec> remote, unsigned long remote_count,
                                  unsigned long flags) {
    TRY(check_arguments(pid, local_count, remote_count, flags));
    return transfer({remote.address(), remote_count}, {local.address(), local_count});
}

Result<long> sys_process_vm_writev(int pid, UserIn<struct iovec> local, unsigned long local_count,
                                   UserIn<struct iovec> remote, unsigned long remote_count,
                                   unsigned long flags) {
    TRY(check_arguments(pid, local_count, remote_count, flags));
    return transfer({local.address(), local_count}, {remote.address(), remote_count});
}

}  // namespace coracle
