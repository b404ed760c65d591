// read, write and their relatives, lseek.
#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <bit>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/files/descriptor_table.h"
#include "libposix/files/segments.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

enum class Direction { kRead, kWrite };

// A count as a call's value: the same bits, so no instruction.
Result<long> to_long(Result<size_t> count) { return std::bit_cast<Result<long>>(count); }

bool allows(const File& file, Direction direction) {
    return direction == Direction::kRead ? file.is_readable() : file.is_writable();
}

Result<BorrowedFile> file_for(int fd, Direction direction) {
    BorrowedFile file = current_process()->descriptors->borrow_any(fd);
    if (!file || !allows(*file, direction)) return Error(EBADF);
    return file;
}

[[gnu::always_inline]] inline Result<long> transfer(File& file, Direction direction,
                                                    IoBuffer& buffer, uint64_t& position) {
    return to_long(direction == Direction::kRead ? file.read(buffer, position)
                                                 : file.write(buffer, position));
}

Result<long> transfer_at(int fd, Direction direction, uint64_t address, size_t count,
                         int64_t offset) {
    if (offset < 0) return Error(EINVAL);
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (!file->is_seekable()) return Error(ESPIPE);
    if (!allows(*file, direction)) return Error(EBADF);
    if (!is_user_range(address, count)) return Error(EFAULT);
    IoBuffer buffer = IoBuffer::user(address, std::min(count, kMaxTransfer));
    auto position = static_cast<uint64_t>(offset);
    return transfer(*file, direction, buffer, position);
}

Result<long> transfer_vector(int fd, Direction direction, UserIn<iovec> iov, size_t count) {
    BorrowedFile file = TRY(file_for(fd, direction));
    Segments segments;
    TRY(segments.read(iov, count));
    IoBuffer buffer = segments.buffer();
    return transfer(*file, direction, buffer, file->position);
}

Result<long> transfer_vector_at(int fd, Direction direction, UserIn<iovec> iov, size_t count,
                                int64_t offset, int flags) {
    constexpr int kKnown = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;
    bool at_position = offset == -1 && flags >= 0;
    if (offset < 0 && !at_position) return Error(EINVAL);
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (!at_position && !file->is_seekable()) return Error(ESPIPE);
    if (!allows(*file, direction)) return Error(EBADF);
    Segments segments;
    TRY(segments.read(iov, count));
    // No file here can promise not to wait.
    if (flags >= 0 && (flags & (~kKnown | RWF_NOWAIT))) return Error(EOPNOTSUPP);
    IoBuffer buffer = segments.buffer();
    if (flags > 0) buffer.flags = static_cast<uint32_t>(flags);
    auto position = static_cast<uint64_t>(offset);
    return transfer(*file, direction, buffer, at_position ? file->position : position);
}

// Enough for most calls, and checked by two comparisons with constants.
bool is_short_user_range(uint64_t address, size_t count) {
    constexpr size_t kShort = 64 * 1024;
    return count <= kShort && address <= kUserEnd - kShort;
}

// read(2) and write(2) of any range, whoever else uses the descriptor meanwhile.
template <Direction direction>
[[gnu::noinline]] Result<long> transfer_any(int fd, uint64_t address, size_t count) {
    File* found = current_process()->descriptors->find(fd);
    if (!found || !allows(*found, direction)) return Error(EBADF);
    if (!is_user_range(address, count)) return Error(EFAULT);
    BorrowedFile file(found, true);
    IoBuffer buffer = IoBuffer::user(address, std::min(count, kMaxTransfer));
    return transfer(*file, direction, buffer, file->position);
}

constexpr int kNoFlags = -1;  // preadv(2) and pwritev(2): an offset of -1 is an error there

}  // namespace

// The two most frequent calls: without a reference to the file, and with nothing to do behind the
// file's own function, while one thread alone has the descriptors and the range is short.
Result<long> sys_read(int fd, UserOut<char> buf, size_t count) {
    File* file = current_process()->descriptors->find_sole(fd);
    if (!file || !file->is_readable() || !is_short_user_range(buf.address(), count)) [[unlikely]] {
        return transfer_any<Direction::kRead>(fd, buf.address(), count);
    }
    IoBuffer buffer = IoBuffer::user(buf.address(), count);
    return to_long(file->read(buffer, file->position));
}

Result<long> sys_write(int fd, UserIn<char> buf, size_t count) {
    File* file = current_process()->descriptors->find_sole(fd);
    if (!file || !file->is_writable() || !is_short_user_range(buf.address(), count)) [[unlikely]] {
        return transfer_any<Direction::kWrite>(fd, buf.address(), count);
    }
    IoBuffer buffer = IoBuffer::user(buf.address(), count);
    return to_long(file->write(buffer, file->position));
}

Result<long> sys_pread64(int fd, UserOut<char> buf, size_t count, int64_t offset) {
    return transfer_at(fd, Direction::kRead, buf.address(), count, offset);
}

Result<long> sys_pwrite64(int fd, UserIn<char> buf, size_t count, int64_t offset) {
    return transfer_at(fd, Direction::kWrite, buf.address(), count, offset);
}

Result<long> sys_readv(int fd, UserIn<iovec> iov, int count) {
    return transfer_vector(fd, Direction::kRead, iov, static_cast<size_t>(count));
}

Result<long> sys_writev(int fd, UserIn<iovec> iov, int count) {
    return transfer_vector(fd, Direction::kWrite, iov, static_cast<size_t>(count));
}

Result<long> sys_preadv(int fd, UserIn<iovec> iov, unsigned long count, int64_t offset) {
    return transfer_vector_at(fd, Direction::kRead, iov, count, offset, kNoFlags);
}

Result<long> sys_pwritev(int fd, UserIn<iovec> iov, unsigned long count, int64_t offset) {
    return transfer_vector_at(fd, Direction::kWrite, iov, count, offset, kNoFlags);
}

Result<long> sys_preadv2(int fd, UserIn<iovec> iov, unsigned long count, int64_t offset,
                         int flags) {
    if (flags < 0) return Error(EOPNOTSUPP);
    return transfer_vector_at(fd, Direction::kRead, iov, count, offset, flags);
}

Result<long> sys_pwritev2(int fd, UserIn<iovec> iov, unsigned long count, int64_t offset,
                          int flags) {
    if (flags < 0) return Error(EOPNOTSUPP);
    return transfer_vector_at(fd, Direction::kWrite, iov, count, offset, flags);
}

Result<long> sys_lseek(int fd, int64_t offset, int whence) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (whence < SEEK_SET || whence > SEEK_HOLE) return Error(EINVAL);
    return static_cast<long>(TRY(file->seek(offset, whence)));
}

}  // namespace coracle
