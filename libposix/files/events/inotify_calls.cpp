// inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch.
#include "libposix/files/events/inotify.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/permission.h"
#include "syscall-table/handlers.h"

namespace coracle {

Result<long> sys_inotify_init1(int flags) {
    if (flags & ~(IN_CLOEXEC | IN_NONBLOCK)) return Error(EINVAL);
    if (InotifyFile::instance_count() >= kMaxInotifyInstances) return Error(EMFILE);
    return open_event_file<InotifyFile>("inotify", static_cast<uint32_t>(flags) | O_RDONLY);
}

Result<long> sys_inotify_init() {
    return sys_inotify_init1(0);
}

Result<long> sys_inotify_add_watch(int fd, UserIn<char> path, unsigned mask) {
    constexpr uint32_t kKnown = IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED |
                                IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK | IN_MASK_ADD |
                                IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT;
    if ((mask & ~kKnown) || mask == 0) return Error(EINVAL);
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE)) return Error(EINVAL);
    auto* inotify = file_as<InotifyFile>(*file);
    if (!inotify) return Error(EINVAL);
    PathArgument argument;
    TRY(argument.read(path));
    const uint32_t walk_flags =
        (mask & IN_DONT_FOLLOW ? 0u : kFollowLast) | (mask & IN_ONLYDIR ? kLastIsDirectory : 0u);
    Path place = TRY(argument.resolve(walk_flags));
    TRY(check_permission(place.inode(), kMayRead, current_credentials()));
    return TRY(inotify->watch(place.dentry->inode_ref(), mask));
}

Result<long> sys_inotify_rm_watch(int fd, int descriptor) {
    TRY(TRY(get_event_file<InotifyFile>(fd))->unwatch(descriptor));
    return 0;
}

}  // namespace coracle
