// pipe, pipe2, sendfile, copy_file_range.
#include <fcntl.h>

#include <algorithm>
#include <span>

#include "kernel-min/memory/heap.h"
#include "libposix/files/inode_file.h"
#include "libposix/files/pipe_transfer.h"
#include "libposix/files/position_argument.h"
#include "libposix/files/segments.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// A page's worth of a file: of the page cache where the file has pages there, else a copy.
class PageReader {
  public:
    ~PageReader() {
        if (frame_ != 0) put_frame(frame_);
    }
    // Up to `length` bytes at the position, and to the page's end. Empty at the end of the file.
    Result<std::span<const char>> read(File& from, uint64_t position, size_t length) {
        is_shared_ = from.inode().is_regular() && from.inode().is_mappable();
        return is_shared_ ? share(from.inode(), position, length) : copy(from, position, length);
    }

    // Whether what was read is the file's own page, not a copy that the next read overwrites.
    bool is_shared() const { return is_shared_; }

  private:
    Result<std::span<const char>> share(Inode& inode, uint64_t position, size_t length) {
        const uint64_t size = inode.size();
        if (position >= size) return std::span<const char>();
        const uint64_t in_page = position % kPageSize;
        const size_t part = std::min<uint64_t>({length, kPageSize - in_page, size - position});
        const PhysAddr frame = TRY(inode.page(position / kPageSize, false));
        if (frame_ != 0) put_frame(frame_);
        frame_ = frame;
        return std::span<const char>(phys_to_virt<char>(frame_) + in_page, part);
    }
    Result<std::span<const char>> copy(File& from, uint64_t position, size_t length) {
        if (frame_ == 0) frame_ = TRY(allocate_frame());
        char* page = phys_to_virt<char>(frame_);
        IoBuffer in = IoBuffer::kernel(page, std::min(length, kPageSize));
        const size_t got = TRY(from.read(in, position));
        return std::span<const char>(page, got);
    }

    PhysAddr frame_ = 0;
    bool is_shared_ = false;
};

// Moves up to `count` bytes from one file to another by page, until the source ends or either side
// would wait for more than it has.
Result<long> copy_between(File& from, uint64_t& from_position, File& to, uint64_t& to_position,
                          size_t count) {
    PageReader reader;
    size_t done = 0;
    int error = 0;
    while (done < count) {
        Result<std::span<const char>> part = reader.read(from, from_position, count - done);
        if (!part.ok()) error = part.error_code();
        if (!part.ok() || part->empty()) break;
        IoBuffer out = IoBuffer::kernel(part->data(), part->size());
        if (reader.is_shared()) out.flags |= IoBuffer::kStablePages;
        const bool is_last =
            done + part->size() == count || from_position + part->size() >= from.inode().size();
        if (!is_last) out.flags |= IoBuffer::kMoreToCome;
        Result<size_t> put = to.write(out, to_position);
        if (!put.ok()) error = put.error_code();
        const size_t moved = put.ok() ? *put : 0;
        done += moved;
        from_position += moved;  // what was not written stays in the source
        if (moved < part->size()) break;
    }
    if (done == 0 && error != 0) return Error(error);
    if (done != 0) touch_access_time(from);
    return static_cast<long>(done);
}

Result<long> make_pipe_descriptors(UserOut<int> fds, int flags) {
    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) return Error(EINVAL);
    PipeEnds ends = TRY(make_pipe(static_cast<uint32_t>(flags & ~O_CLOEXEC)));
    return install_descriptor_pair(std::move(ends.read_end), std::move(ends.write_end),
                                   static_cast<uint32_t>(flags & O_CLOEXEC), fds);
}

}  // namespace

Result<long> sys_pipe(UserOut<int> fds) {
    return make_pipe_descriptors(fds, 0);
}

Result<long> sys_pipe2(UserOut<int> fds, int flags) {
    return make_pipe_descriptors(fds, flags);
}

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
    const long done = out->pipe()
                          ? static_cast<long>(TRY(move_file_to_pipe(*in, from.value(), *out->pipe(),
                                                                    count, out->is_nonblocking())))
                          : TRY(copy_between(*in, from.value(), *out, out->position, count));
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
