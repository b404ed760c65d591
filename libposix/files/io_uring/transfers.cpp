// io_uring: READ, WRITE and their variants.
#include <poll.h>

#include "libposix/files/io_uring/operations.h"
#include "libposix/files/segments.h"

namespace coracle {
namespace {

struct Kind {
    bool is_write, is_vector, is_fixed;
};

Kind kind_of(unsigned opcode) {
    switch (opcode) {
        case IORING_OP_WRITEV:
            return {true, true, false};
        case IORING_OP_READV:
            return {false, true, false};
        case IORING_OP_WRITE_FIXED:
            return {true, false, true};
        case IORING_OP_READ_FIXED:
            return {false, false, true};
        default:
            return {opcode == IORING_OP_WRITE, false, false};
    }
}

// The range lies in one of the registered buffers.
Result<void> check_fixed_buffer(const IoUring& ring, const io_uring_sqe& sqe) {
    if (sqe.buf_index >= ring.buffer_count) return Error(EFAULT);
    const IoUring::FixedBuffer& buffer = ring.buffers[sqe.buf_index];
    if (sqe.addr < buffer.address || sqe.len > buffer.length ||
        sqe.addr - buffer.address > buffer.length - sqe.len) {
        return Error(EFAULT);
    }
    return {};
}

Result<long> transfer(IoUringRequest& request, const Kind& kind, IoBuffer buffer) {
    File& file = *request.file;
    const io_uring_sqe& sqe = request.sqe;
    constexpr uint32_t kKnown = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;
    if (sqe.rw_flags & ~kKnown) return Error(EOPNOTSUPP);
    buffer.flags = sqe.rw_flags;
    if (file.wait_queue()) buffer.flags |= RWF_NOWAIT;
    uint64_t own_position = sqe.off;
    const bool uses_file_position = !file.is_seekable() || sqe.off == UINT64_MAX;
    if (!uses_file_position && sqe.off > INT64_MAX) return Error(EINVAL);
    uint64_t& position = uses_file_position ? file.position : own_position;
    const size_t done =
        kind.is_write ? TRY(file.write(buffer, position)) : TRY(file.read(buffer, position));
    return static_cast<long>(done);
}

}  // namespace

IoUringOutcome issue_transfer(IoUringRequest& request) {
    const Kind kind = kind_of(request.sqe.opcode);
    File& file = *request.file;
    if (kind.is_write ? !file.is_writable() : !file.is_readable()) {
        return outcome_of(Error(EBADF));
    }
    const io_uring_sqe& sqe = request.sqe;
    size_t size = sqe.len;
    auto attempt = [&]() -> Result<long> {
        if (kind.is_vector) {
            Segments segments;
            TRY(segments.read(UserIn<iovec>(sqe.addr), sqe.len));
            size = segments.buffer().size();
            return transfer(request, kind, segments.buffer());
        }
        if (kind.is_fixed) TRY(check_fixed_buffer(request.ring, sqe));
        if (!is_user_range(sqe.addr, sqe.len)) return Error(EFAULT);
        return transfer(request, kind, IoBuffer::user(sqe.addr, sqe.len));
    };
    const uint32_t events = kind.is_write ? POLLOUT : POLLIN;
    if ((sqe.rw_flags & RWF_NOWAIT) && file.wait_queue()) {
        if (!(file.poll_events() & events)) return outcome_of(Error(EAGAIN));
        return outcome_of(attempt());
    }
    IoUringOutcome outcome = try_or_wait(request, events, attempt);
    // A short transfer breaks a chain.
    if (!outcome.waits && outcome.result >= 0 && static_cast<size_t>(outcome.result) < size) {
        outcome.failed = true;
    }
    return outcome;
}

}  // namespace coracle
