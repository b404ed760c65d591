// chmod, chown, the utime family, truncate, umask.
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

#include <array>
#include <optional>

#include "libposix/files/inode_file.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/notify.h"
#include "libposix/fs/permission.h"
#include "libposix/memory/file_pages.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

const Credentials& credentials() { return current_credentials(); }

Result<Path> place_of_descriptor(int fd, bool allow_path_only) {
    const DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile file = allow_path_only ? table.borrow_any(fd) : table.borrow(fd);
    if (!file) return Error(EBADF);
    return file->path();
}

Result<Path> resolve_at(int dirfd, UserIn<char> path, uint32_t walk_flags) {
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    return argument.resolve(walk_flags);
}

Result<long> change_attributes(const Path& place, const AttributeChange& change) {
    TRY(place.inode().change_attributes(change));
    uint32_t events = IN_ATTRIB;
    if (change.valid == AttributeChange::kAccessTime) events = IN_ACCESS;
    if (change.valid == AttributeChange::kModifyTime) events = IN_MODIFY;
    if (change.valid != 0) notify_file(*place.dentry, events);
    return 0;
}

Result<long> change_mode(const Path& place, unsigned mode) {
    Inode& inode = place.inode();
    TRY(check_writable(place));
    if (inode.is_symlink()) return Error(EOPNOTSUPP);
    if (!is_owner_or_capable(inode, credentials())) return Error(EPERM);
    AttributeChange change = {.valid = AttributeChange::kMode, .mode = mode & 07777};
    if (!credentials().in_group(inode.gid) && !credentials().has_capability(kCapFsetid)) {
        change.mode &= ~static_cast<uint32_t>(S_ISGID);
    }
    return change_attributes(place, change);
}

Result<long> change_owner(const Path& place, unsigned uid, unsigned gid) {
    constexpr unsigned kKeep = ~0u;
    const Credentials& who = credentials();
    Inode& inode = place.inode();
    TRY(check_writable(place));
    bool owns = who.fsuid == inode.uid;
    bool is_capable = who.has_capability(kCapChown);
    if (uid != kKeep && !is_capable && !(owns && uid == inode.uid)) return Error(EPERM);
    if (gid != kKeep && !is_capable && !(owns && (who.in_group(gid) || gid == inode.gid))) {
        return Error(EPERM);
    }
    AttributeChange change;
    if (uid != kKeep) {
        change.valid |= AttributeChange::kUid;
        change.uid = uid;
    }
    if (gid != kKeep) {
        change.valid |= AttributeChange::kGid;
        change.gid = gid;
    }
    if (!inode.is_directory() && (inode.mode & (S_ISUID | S_ISGID))) {
        // Whoever changes the owner, the set-id bits go, but for the mark of mandatory locking.
        change.valid |= AttributeChange::kMode;
        change.mode = inode.mode & 07777 & ~static_cast<uint32_t>(S_ISUID);
        if (inode.mode & S_IXGRP) change.mode &= ~static_cast<uint32_t>(S_ISGID);
    }
    return change_attributes(place, change);
}

// Both times of the utime family; null: both are now.
using Times = std::optional<std::array<timespec, 2>>;

bool is_valid_nanoseconds(const timespec& time) {
    return time.tv_nsec == UTIME_NOW || time.tv_nsec == UTIME_OMIT ||
           (time.tv_nsec >= 0 && time.tv_nsec < 1000000000);
}

Result<long> change_times(const Path& place, const Times& times) {
    Inode& inode = place.inode();
    AttributeChange change = {.valid = AttributeChange::kAccessTime | AttributeChange::kModifyTime};
    timespec now = current_time();
    change.access_time = change.modify_time = now;
    bool sets_explicit_time = false;
    if (times) {
        bool both_now = true;
        timespec* targets[] = {&change.access_time, &change.modify_time};
        constexpr uint32_t kBits[] = {AttributeChange::kAccessTime, AttributeChange::kModifyTime};
        for (int i = 0; i < 2; i++) {
            const timespec& time = (*times)[i];
            if (time.tv_nsec == UTIME_NOW) continue;
            both_now = false;
            if (time.tv_nsec == UTIME_OMIT) {
                change.valid &= ~kBits[i];
            } else {
                *targets[i] = time;
            }
        }
        sets_explicit_time = !both_now;
        if (change.valid == 0) return 0;
    }
    TRY(check_writable(place));
    if (!is_owner_or_capable(inode, credentials())) {
        if (sets_explicit_time) return Error(EPERM);
        TRY(check_permission(inode, kMayWrite, credentials()));
    }
    return change_attributes(place, change);
}

Result<Times> from_timevals(UserIn<timeval> from) {
    if (!from) return Times{};
    timeval values[2];
    TRY(from.read_array(values, 2));
    Times times{std::in_place};
    for (int i = 0; i < 2; i++) {
        if (values[i].tv_usec < 0 || values[i].tv_usec >= 1000000) return Error(EINVAL);
        (*times)[i] = {values[i].tv_sec, values[i].tv_usec * 1000};
    }
    return times;
}

Result<void> truncate_file(const Path& place, int64_t length) {
    if (static_cast<uint64_t>(length) >
        current_process()->limits.soft(Resource::kFileSize)) {
        send_kernel_signal_to_thread(*current_thread(), kSigXfsz);
        return Error(EFBIG);
    }
    Inode& inode = place.inode();
    TRY(inode.truncate(static_cast<uint64_t>(length)));
    unmap_truncated_pages(inode, static_cast<uint64_t>(length));
    inode.modify_time = inode.change_time = current_time();
    notify_file(*place.dentry, IN_MODIFY);
    return {};
}

}  // namespace

Result<long> sys_fchmodat(int dirfd, UserIn<char> path, unsigned mode) {
    return change_mode(TRY(resolve_at(dirfd, path, kFollowLast)), mode);
}

Result<long> sys_chmod(UserIn<char> path, unsigned mode) {
    return sys_fchmodat(AT_FDCWD, path, mode);
}

Result<long> sys_fchmod(int fd, unsigned mode) {
    return change_mode(TRY(place_of_descriptor(fd, false)), mode);
}

Result<long> sys_fchownat(int dirfd, UserIn<char> path, unsigned uid, unsigned gid,
                          int flags) {
    uint32_t walk_flags = TRY(walk_flags_of(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    return change_owner(TRY(resolve_at(dirfd, path, walk_flags)), uid, gid);
}

Result<long> sys_chown(UserIn<char> path, unsigned uid, unsigned gid) {
    return sys_fchownat(AT_FDCWD, path, uid, gid, 0);
}

Result<long> sys_lchown(UserIn<char> path, unsigned uid, unsigned gid) {
    return sys_fchownat(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

Result<long> sys_fchown(int fd, unsigned uid, unsigned gid) {
    return change_owner(TRY(place_of_descriptor(fd, false)), uid, gid);
}

Result<long> sys_utimensat(int dirfd, UserIn<char> path, UserIn<timespec> from, int flags) {
    Times times;
    if (from) {
        times.emplace();
        TRY(from.read_array(times->data(), 2));
        if ((*times)[0].tv_nsec == UTIME_OMIT && (*times)[1].tv_nsec == UTIME_OMIT) return 0;
    }
    uint32_t walk_flags = TRY(walk_flags_of(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    if (times && (!is_valid_nanoseconds((*times)[0]) || !is_valid_nanoseconds((*times)[1]))) {
        return Error(EINVAL);
    }
    if (!path && dirfd != AT_FDCWD) {  // futimens(3)
        if (flags != 0) return Error(EINVAL);
        return change_times(TRY(place_of_descriptor(dirfd, false)), times);
    }
    return change_times(TRY(resolve_at(dirfd, path, walk_flags)), times);
}

Result<long> sys_futimesat(int dirfd, UserIn<char> path, UserIn<timeval> from) {
    Times times = TRY(from_timevals(from));
    if (!path && dirfd != AT_FDCWD) {
        return change_times(TRY(place_of_descriptor(dirfd, false)), times);
    }
    return change_times(TRY(resolve_at(dirfd, path, kFollowLast)), times);
}

Result<long> sys_utimes(UserIn<char> path, UserIn<timeval> from) {
    return sys_futimesat(AT_FDCWD, path, from);
}

Result<long> sys_utime(UserIn<char> path, UserIn<utimbuf> from) {
    Times times;
    if (from) {
        utimbuf values = TRY(from.read());
        times = {timespec{values.actime, 0}, timespec{values.modtime, 0}};
    }
    return change_times(TRY(resolve_at(AT_FDCWD, path, kFollowLast)), times);
}

Result<long> sys_truncate(UserIn<char> path, int64_t length) {
    if (length < 0) return Error(EINVAL);
    Path place = TRY(resolve_at(AT_FDCWD, path, kFollowLast));
    Inode& inode = place.inode();
    if (inode.is_directory()) return Error(EISDIR);
    if (!inode.is_regular()) return Error(EINVAL);
    TRY(check_permission(inode, kMayWrite, credentials()));
    TRY(check_writable(place));
    if (inode.write_count < 0) return Error(ETXTBSY);
    TRY(truncate_file(place, length));
    return 0;
}

Result<long> sys_ftruncate(int fd, int64_t length) {
    if (length < 0) return Error(EINVAL);
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (!file->inode().is_regular() || !file->is_writable()) return Error(EINVAL);
    TRY(file->truncate(static_cast<uint64_t>(length)));
    return 0;
}

Result<long> sys_umask(unsigned mask) {
    uint32_t& umask = current_process()->file_system->umask;
    uint32_t old = umask;
    umask = mask & 0777;
    return old;
}

}  // namespace coracle
