// Calls about storage and the system's file systems: sync, fallocate, fadvise, sysfs.
#include <fcntl.h>
#include <linux/falloc.h>

#include <string_view>

#include "libposix/files/path_argument.h"
#include "libposix/fs/file_system_types.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

Result<BorrowedFile> file_of(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    return file;
}

}  // namespace

Result<long> sys_sync() {
    for (Mount* mount = Mount::first(); mount; mount = mount->next()) {
        (void)mount->file_system().sync();
    }
    return 0;
}

Result<long> sys_syncfs(int fd) {
    BorrowedFile file = TRY(file_of(fd));
    TRY(file->inode().file_system().sync());
    return 0;
}

Result<long> sys_fsync(int fd) {
    BorrowedFile file = TRY(file_of(fd));
    TRY(file->sync(false));
    return 0;
}

Result<long> sys_fdatasync(int fd) {
    BorrowedFile file = TRY(file_of(fd));
    TRY(file->sync(true));
    return 0;
}

Result<long> sys_sync_file_range(int fd, int64_t offset, int64_t length, unsigned flags) {
    BorrowedFile file = TRY(file_of(fd));
    constexpr unsigned kKnown =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int64_t end;
    if ((flags & ~kKnown) || offset < 0 || length < 0 ||
        __builtin_add_overflow(offset, length, &end)) {
        return Error(EINVAL);
    }
    uint32_t type = file->inode().mode & S_IFMT;
    if (type != S_IFREG && type != S_IFBLK && type != S_IFDIR && type != S_IFLNK) {
        return Error(ESPIPE);
    }
    TRY(file->sync(true));
    return 0;
}

Result<long> sys_fallocate(int fd, int mode, int64_t offset, int64_t length) {
    BorrowedFile file = TRY(file_of(fd));
    if (offset < 0 || length <= 0) return Error(EINVAL);
    constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE |
                           FALLOC_FL_ZERO_RANGE | FALLOC_FL_INSERT_RANGE |
                           FALLOC_FL_UNSHARE_RANGE;
    if (mode & ~kKnown) return Error(EOPNOTSUPP);
    bool punches = mode & FALLOC_FL_PUNCH_HOLE;
    if (punches && (mode & FALLOC_FL_ZERO_RANGE)) return Error(EOPNOTSUPP);
    if (punches && !(mode & FALLOC_FL_KEEP_SIZE)) return Error(EOPNOTSUPP);
    if ((mode & FALLOC_FL_COLLAPSE_RANGE) && (mode & ~FALLOC_FL_COLLAPSE_RANGE)) {
        return Error(EINVAL);
    }
    if ((mode & FALLOC_FL_INSERT_RANGE) && (mode & ~FALLOC_FL_INSERT_RANGE)) return Error(EINVAL);
    if ((mode & FALLOC_FL_UNSHARE_RANGE) &&
        (mode & ~(FALLOC_FL_UNSHARE_RANGE | FALLOC_FL_KEEP_SIZE))) {
        return Error(EINVAL);
    }
    if (!file->is_writable()) return Error(EBADF);
    const Inode& inode = file->inode();
    if (inode.is_fifo()) return Error(ESPIPE);
    if (inode.is_directory()) return Error(EISDIR);
    if (!inode.is_regular()) return Error(ENODEV);
    int64_t end;
    if (__builtin_add_overflow(offset, length, &end)) return Error(EFBIG);
    TRY(file->allocate(mode, static_cast<uint64_t>(offset), static_cast<uint64_t>(length)));
    return 0;
}

Result<long> sys_fadvise64(int fd, int64_t /*offset*/, size_t length, int advice) {
    BorrowedFile file = TRY(file_of(fd));
    if (file->inode().is_fifo()) return Error(ESPIPE);
    if (static_cast<int64_t>(length) < 0) return Error(EINVAL);
    if (advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE) return Error(EINVAL);
    return 0;  // all files are in memory: no advice changes anything
}

Result<long> sys_readahead(int fd, int64_t /*offset*/, size_t /*count*/) {
    BorrowedFile file = TRY(file_of(fd));
    if (!file->is_readable()) return Error(EBADF);
    if (!file->inode().is_regular()) return Error(EINVAL);
    return 0;
}

Result<long> sys_sysfs(int option, unsigned long argument1, unsigned long argument2) {
    std::span<const FileSystemType> types = file_system_types();
    if (option == 3) return static_cast<long>(types.size());
    if (option == 2) {
        if (argument1 >= types.size()) return Error(EINVAL);
        std::string_view name = types[argument1].name;
        TRY(UserOut<char>(argument2).write_array(name.data(), name.size() + 1));
        return 0;
    }
    if (option != 1) return Error(EINVAL);
    char name[32];
    std::string_view wanted = TRY(read_string(UserIn<char>(argument1), name, sizeof(name), EINVAL));
    for (size_t i = 0; i < types.size(); i++) {
        if (types[i].name == wanted) return static_cast<long>(i);
    }
    return Error(EINVAL);
}

}  // namespace coracle
