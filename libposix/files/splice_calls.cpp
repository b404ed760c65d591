// splice, tee, vmsplice: bytes in and out of pipes by page, without a copy where pages can be
// shared (man 2 splice).
#include <fcntl.h>

#include <algorithm>

#include "libposix/files/pipe_transfer.h"
#include "libposix/files/position_argument.h"
#include "libposix/files/segments.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr unsigned kKnownFlags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT;

Result<long> to_long(Result<size_t> count) {
    if (!count.ok()) return count.error();
    return static_cast<long>(*count);
}

bool waits(const File& pipe_end, unsigned flags) {
    return !(flags & SPLICE_F_NONBLOCK) && !pipe_end.is_nonblocking();
}

Result<size_t> splice_out(File& in, File& out, UserInOut<int64_t> out_offset, size_t length,
                          unsigned flags) {
    PositionArgument to;
    TRY(to.read(out_offset, out, EINVAL));
    if (out.flags & O_APPEND) return Error(EINVAL);
    const size_t done =
        TRY(move_pipe_to_file(*in.pipe(), out, to.value(), length, !waits(in, flags)));
    TRY(to.write_back());
    return done;
}

Result<size_t> splice_in(File& in, UserInOut<int64_t> in_offset, File& out, size_t length,
                         unsigned flags) {
    PositionArgument from;
    TRY(from.read(in_offset, in, EINVAL));
    const size_t done =
        TRY(move_file_to_pipe(in, from.value(), *out.pipe(), length, !waits(out, flags)));
    TRY(from.write_back());
    return done;
}

}  // namespace

Result<long> sys_splice(int in_fd, UserInOut<int64_t> in_offset, int out_fd,
                        UserInOut<int64_t> out_offset, size_t length, unsigned flags) {
    if (length == 0) return 0;
    if (flags & ~kKnownFlags) return Error(EINVAL);
    const DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile in = table.borrow(in_fd);
    BorrowedFile out = table.borrow(out_fd);
    if (!in || !out) return Error(EBADF);
    if ((in->pipe() && in_offset) || (out->pipe() && out_offset)) return Error(ESPIPE);
    if (!in->is_readable() || !out->is_writable()) return Error(EBADF);
    length = std::min(length, kMaxTransfer);
    if (in->pipe() && out->pipe()) {
        if (in->pipe() == out->pipe()) return Error(EINVAL);
        const bool nonblocking = !waits(*in, flags) || !waits(*out, flags);
        return to_long(move_pipe_to_pipe(*in->pipe(), *out->pipe(), length, nonblocking));
    }
    if (in->pipe()) return to_long(splice_out(*in, *out, out_offset, length, flags));
    if (out->pipe()) return to_long(splice_in(*in, in_offset, *out, length, flags));
    return Error(EINVAL);
}

Result<long> sys_tee(int in_fd, int out_fd, size_t length, unsigned flags) {
    if (flags & ~kKnownFlags) return Error(EINVAL);
    if (length == 0) return 0;
    const DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile in = table.borrow(in_fd);
    BorrowedFile out = table.borrow(out_fd);
    if (!in || !out) return Error(EBADF);
    if (!in->is_readable() || !out->is_writable()) return Error(EBADF);
    if (!in->pipe() || !out->pipe() || in->pipe() == out->pipe()) return Error(EINVAL);
    const bool nonblocking = !waits(*in, flags) || !waits(*out, flags);
    return to_long(copy_pipe_to_pipe(*in->pipe(), *out->pipe(), length, nonblocking));
}

// Linux shares the application's pages with the pipe; a copy says the same to those who keep to
// the rule that spliced memory is left alone.
Result<long> sys_vmsplice(int fd, UserIn<iovec> iov, size_t count, unsigned flags) {
    if (flags & ~kKnownFlags) return Error(EINVAL);
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file || (!file->is_writable() && !file->is_readable())) return Error(EBADF);
    Segments segments;
    TRY(segments.read(iov, count));
    IoBuffer buffer = segments.buffer();
    if (buffer.is_empty()) return 0;
    if (!file->pipe()) return Error(EBADF);
    const bool nonblocking = !waits(*file, flags);
    if (file->is_writable()) return to_long(file->pipe()->write(buffer, nonblocking, false));
    return to_long(file->pipe()->read(buffer, nonblocking));
}

}  // namespace coracle
