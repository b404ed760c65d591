// pipe, pipe2, sendfile, copy_file_range, splice.
#include <fcntl.h>

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "libposix/files/pipe.h"
#include "libposix/files/segments.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// Moves up to `count` bytes from one file to another through a page, until the source ends or
// either side would wait for more than it has.
Result<long> copy_between(File& from, uint64_t& from_position, File& to, uint64_t& to_position,
                          size_t count) {
    PhysAddr frame = TRY(allocate_frame());
    char* page = phys_to_virt<char>(frame);
    size_t done = 0;
    int error = 0;
    while (done < count) {
        uint64_t start = from_position;
        IoBuffer in = IoBuffer::kernel(page, std::min(count - done, kPageSize));
        Result<size_t> got = from.read(in, from_position);
        if (!got.ok()) error = got.error_code();
        if (!got.ok() || *got == 0) break;
        IoBuffer out = IoBuffer::kernel(page, *got);
        Result<size_t> put = to.write(out, to_position);
        if (!put.ok()) error = put.error_code();
        size_t moved = put.ok() ? *put : 0;
        done += moved;
        if (moved < *got) {  // what was read and not written stays in the source
            from_position = start + moved;
            break;
        }
    }
    put_frame(frame);
    if (done == 0 && error != 0) return Error(error);
    return static_cast<long>(done);
}

Result<long> make_pipe_descriptors(UserOut<int> fds, int flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return Error(EINVAL);
    PipeEnds ends = TRY(make_pipe(static_cast<uint32_t>(flags & ~O_CLOEXEC)));
    return install_descriptor_pair(std::move(ends.read_end), std::move(ends.write_end),
                                   static_cast<uint32_t>(flags & O_CLOEXEC), fds);
}

// The position argument of splice(2) and its like: a pointer, or null for the file's own.
class PositionArgument {
  public:
    // ESPIPE: the file has none. EINVAL: negative.
    Result<void> read(UserInOut<int64_t> pointer, File& file) {
        file_ = &file;
        pointer_ = pointer;
        value_ = file.position;
        if (!pointer) return {};
        if (!file.is_seekable()) return Error(ESPIPE);
        int64_t value = TRY(pointer.read());
        if (value < 0) return Error(EINVAL);
        value_ = static_cast<uint64_t>(value);
        return {};
    }
    uint64_t& value() { return value_; }
    Result<void> write_back() {
        if (pointer_) return pointer_.write(static_cast<int64_t>(value_));
        file_->position = value_;
        return {};
    }

  private:
    File* file_ = nullptr;
    UserInOut<int64_t> pointer_;
    uint64_t value_ = 0;
};

}  // namespace

Result<long> sys_pipe(UserOut<int> fds) { return make_pipe_descriptors(fds, 0); }

Result<long> sys_pipe2(UserOut<int> fds, int flags) { return make_pipe_descriptors(fds, flags); }

Result<long> sys_sendfile(int out_fd, int in_fd, UserInOut<int64_t> offset, size_t count) {
    const DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile in = table.borrow(in_fd);
    if (!in || !in->is_readable()) return Error(EBADF);
    PositionArgument from;
    TRY(from.read(offset, *in));
    BorrowedFile out = table.borrow(out_fd);
    if (!out || !out->is_writable()) return Error(EBADF);
    if (in->inode().is_directory() || !in->is_seekable()) return Error(EINVAL);
    if (out->flags & O_APPEND) return Error(EINVAL);
    count = std::min(count, kMaxTransfer);
    long done = TRY(copy_between(*in, from.value(), *out, out->position, count));
    TRY(from.write_back());
    return done;
}

Result<long> sys_copy_file_range(int in_fd, UserInOut<int64_t> in_offset, int out_fd,
                                 UserInOut<int64_t> out_offset, size_t length, unsigned flags) {
    const DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile in = table.borrow(in_fd);
    BorrowedFile out = table.borrow(out_fd);
    if (!in || !out) return Error(EBADF);
    PositionArgument from, to;
    TRY(from.read(in_offset, *in));
    TRY(to.read(out_offset, *out));
    if (flags != 0) return Error(EINVAL);
    if (in->inode().is_directory() || out->inode().is_directory()) return Error(EISDIR);
    if (!in->inode().is_regular() || !out->inode().is_regular()) return Error(EINVAL);
    if (!in->is_readable() || !out->is_writable() || (out->flags & O_APPEND)) return Error(EBADF);
    if (&in->inode().file_system() != &out->inode().file_system()) return Error(EXDEV);
    uint64_t size = in->inode().size();
    uint64_t available = from.value() < size ? size - from.value() : 0;
    uint64_t count = std::min<uint64_t>({length, available, kMaxTransfer});
    if (&in->inode() == &out->inode() && to.value() < from.value() + count &&
        from.value() < to.value() + count) {
        return Error(EINVAL);
    }
    long done = TRY(copy_between(*in, from.value(), *out, to.value(), count));
    TRY(from.write_back());
    TRY(to.write_back());
    return done;
}

}  // namespace coracle
