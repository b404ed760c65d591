// dup, fcntl, flock, ioctl.
#include <fcntl.h>
#include <sys/ioctl.h>

#include "libposix/files/file_lock.h"
#include "libposix/files/pipe.h"
#include "libposix/fs/permission.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_abi.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// What F_SETFL can change; the other flags stay as they were opened.
constexpr uint32_t kSettableFlags = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;

uint64_t descriptor_limit() { return current_process()->limits.soft(Resource::kOpenFiles); }

Result<long> duplicate(int fd, int minimum, bool close_on_exec) {
    if (minimum < 0 || static_cast<uint64_t>(minimum) >= descriptor_limit()) return Error(EINVAL);
    DescriptorTable& table = *current_process()->descriptors;
    RefPtr<File> file = TRY(table.get(fd));
    return TRY(table.add(std::move(file), close_on_exec, minimum, descriptor_limit()));
}

Result<long> duplicate_to(int old_fd, int new_fd, bool close_on_exec) {
    DescriptorTable& table = *current_process()->descriptors;
    if (static_cast<uint64_t>(new_fd) >= descriptor_limit() || new_fd < 0) return Error(EBADF);
    RefPtr<File> file = TRY(table.get(old_fd));
    TRY(table.replace(new_fd, std::move(file), close_on_exec, descriptor_limit()));
    return new_fd;
}

Result<long> set_status_flags(File& file, int fd, uint32_t flags) {
    if ((flags & O_NOATIME) && !(file.flags & O_NOATIME) &&
        !is_owner_or_capable(file.inode(), current_credentials())) {
        return Error(EPERM);
    }
    TRY(file.check_flags(flags));
    if (((file.flags ^ flags) & O_ASYNC) && file.can_signal()) {
        TRY(set_io_signal(file, fd, flags & O_ASYNC));
    }
    file.flags = (file.flags & ~kSettableFlags) | (flags & kSettableFlags);
    return 0;
}

Result<long> lock_call(File& file, unsigned command, uint64_t argument) {
    bool is_ofd = command == F_OFD_GETLK || command == F_OFD_SETLK || command == F_OFD_SETLKW;
    UserInOut<struct flock> pointer(argument);
    struct flock lock = TRY(pointer.read());
    if (command == F_GETLK || command == F_OFD_GETLK) {
        TRY(get_file_lock(file, lock, is_ofd));
        TRY(pointer.write(lock));
        return 0;
    }
    TRY(set_file_lock(file, lock, is_ofd, command == F_SETLKW || command == F_OFD_SETLKW));
    return 0;
}

Result<long> set_pipe_size(File& file, uint64_t size) {
    Pipe* pipe = file.pipe();
    if (!pipe) return Error(EBADF);
    if (size > INT32_MAX || size == 0) return Error(EINVAL);
    if (size > Pipe::kMaxSize &&
        !current_credentials().has_capability(kCapSysResource)) {
        return Error(EPERM);
    }
    return static_cast<long>(TRY(pipe->resize(size)));
}

Result<long> add_seals(File& file, uint64_t seals) {
    if (!file.is_writable()) return Error(EPERM);
    TRY(file.inode().add_seals(static_cast<uint32_t>(seals)));
    return 0;
}

Result<long> set_owner(File& file, UserIn<FileOwner> pointer) {
    const FileOwner owner = TRY(pointer.read());
    if (owner.type < FileOwner::kThread || owner.type > FileOwner::kGroup) return Error(EINVAL);
    TRY(set_file_owner(file, owner));
    return 0;
}

Result<long> set_lease(File& file, uint64_t type) {
    if (type == F_UNLCK) return Error(EAGAIN);  // there is none to give up
    if (type != F_RDLCK && type != F_WRLCK) return Error(EINVAL);
    if (!file.inode().is_regular()) return Error(EINVAL);
    return Error(EAGAIN);
}

bool works_on_path_only(unsigned command) {
    switch (command) {
        case F_DUPFD:
        case F_DUPFD_CLOEXEC:
        case F_GETFD:
        case F_SETFD:
        case F_GETFL:
            return true;
    }
    return false;
}

}  // namespace

Result<long> sys_dup(int fd) { return duplicate(fd, 0, false); }

Result<long> sys_dup2(int old_fd, int new_fd) {
    if (old_fd != new_fd) return duplicate_to(old_fd, new_fd, false);
    if (!current_process()->descriptors->find(old_fd)) return Error(EBADF);
    return new_fd;
}

Result<long> sys_dup3(int old_fd, int new_fd, int flags) {
    if ((flags & ~O_CLOEXEC) || old_fd == new_fd) return Error(EINVAL);
    return duplicate_to(old_fd, new_fd, flags & O_CLOEXEC);
}

Result<long> sys_fcntl(int fd, unsigned command, unsigned long argument) {
    DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile file = works_on_path_only(command) ? table.borrow_any(fd) : table.borrow(fd);
    if (!file) return Error(EBADF);
    switch (command) {
        case F_DUPFD:
            return duplicate(fd, static_cast<int>(argument), false);
        case F_DUPFD_CLOEXEC:
            return duplicate(fd, static_cast<int>(argument), true);
        case F_GETFD:
            return table.close_on_exec(fd) ? FD_CLOEXEC : 0;
        case F_SETFD:
            table.set_close_on_exec(fd, argument & FD_CLOEXEC);
            return 0;
        case F_GETFL:
            return file->flags;
        case F_SETFL:
            return set_status_flags(*file, fd, static_cast<uint32_t>(argument));
        case F_GETLK:
        case F_SETLK:
        case F_SETLKW:
        case F_OFD_GETLK:
        case F_OFD_SETLK:
        case F_OFD_SETLKW:
            return lock_call(*file, command, argument);
        case F_GETOWN:
            return file_owner_number(*file);
        case F_SETOWN:
            TRY(set_file_owner(*file, static_cast<int32_t>(argument)));
            return 0;
        case __F_GETOWN_EX:
            TRY(UserOut<FileOwner>(argument).write(file->owner));
            return 0;
        case __F_SETOWN_EX:
            return set_owner(*file, UserIn<FileOwner>(argument));
        case __F_GETSIG:
            return file->owner_signal;
        case __F_SETSIG:
            if (argument != 0 && !is_valid_signal(static_cast<int>(argument))) {
                return Error(EINVAL);
            }
            file->owner_signal = static_cast<int>(argument);
            return 0;
        case F_GETLEASE:
            return F_UNLCK;
        case F_SETLEASE:
            return set_lease(*file, argument);
        case F_SETPIPE_SZ:
            return set_pipe_size(*file, argument);
        case F_GETPIPE_SZ:
            if (!file->pipe()) return Error(EBADF);
            return static_cast<long>(file->pipe()->capacity());
        case F_GET_SEALS:
            return TRY(file->inode().seals());
        case F_ADD_SEALS:
            return add_seals(*file, argument);
        default:
            return Error(EINVAL);
    }
}

Result<long> sys_flock(int fd, int operation) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    TRY(set_flock(*file, operation));
    return 0;
}

Result<long> sys_ioctl(int fd, unsigned command, unsigned long argument) {
    DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile file = table.borrow(fd);
    if (!file) return Error(EBADF);
    switch (command) {
        case FIOCLEX:
            table.set_close_on_exec(fd, true);
            return 0;
        case FIONCLEX:
            table.set_close_on_exec(fd, false);
            return 0;
        case FIONBIO: {
            bool on = TRY(UserIn<int>(argument).read()) != 0;
            file->flags = on ? file->flags | O_NONBLOCK : file->flags & ~uint32_t{O_NONBLOCK};
            return 0;
        }
        case FIOASYNC: {
            bool on = TRY(UserIn<int>(argument).read()) != 0;
            if (on == ((file->flags & O_ASYNC) != 0)) return 0;
            if (!file->can_signal()) return Error(ENOTTY);
            TRY(set_io_signal(*file, fd, on));
            return 0;
        }
        case FIOQSIZE: {
            const Inode& inode = file->inode();
            if (!inode.is_regular() && !inode.is_directory() && !inode.is_symlink()) {
                return Error(ENOTTY);
            }
            TRY(UserOut<int64_t>(argument).write(static_cast<int64_t>(inode.size())));
            return 0;
        }
        default:
            return file->ioctl(command, argument);
    }
}

}  // namespace coracle
