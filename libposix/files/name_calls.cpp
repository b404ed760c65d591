// The calls that make, move and remove names: mkdir, mknod, link, symlink, unlink, rmdir, rename.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "libposix/files/open_file.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/dentry_cache.h"
#include "libposix/fs/notify.h"
#include "libposix/fs/permission.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

using Last = PathWalker::Last;

const Credentials& credentials() { return current_credentials(); }

Result<long> make_node(int dirfd, UserIn<char> path, NewInode what) {
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    PathWalker walker(argument.context(), 0);
    TRY(walker.walk_to_last(argument.name()));
    TRY(check_new_name(walker, S_ISDIR(what.mode)));
    TRY(create_last(walker, credentials(), what));
    return 0;
}

// The name that unlink(2) or rmdir(2) is to remove, or rename(2) to move.
Result<Path> find_victim(PathWalker& walker) {
    Path victim = TRY(walker.look_up_last());
    TRY(check_writable(walker.directory()));
    return victim;
}

// The name is gone from the file system; if nobody else has the file, it goes with the name.
void drop_name(Path& victim) {
    DentryCache::remove(*victim.dentry);
    victim = {};
}

Result<void> remove_file(PathWalker& walker) {
    if (walker.last_kind() != Last::kName) return Error(EISDIR);
    Path victim = TRY(find_victim(walker));
    if (walker.has_trailing_slash()) {
        return Error(victim.inode().is_directory() ? EISDIR : ENOTDIR);
    }
    Inode& directory = walker.directory().inode();
    TRY(check_removal(directory, victim.inode(), credentials()));
    if (victim.inode().is_directory()) return Error(EISDIR);
    RefPtr<Inode> inode = victim.dentry->inode_ref();
    TRY(directory.unlink(walker.last_name(), *inode));
    notify_inode(*inode, IN_ATTRIB);
    drop_name(victim);
    notify_name(directory, walker.last_name(), IN_DELETE, *inode);
    return {};
}

Result<void> remove_directory(PathWalker& walker) {
    switch (walker.last_kind()) {
        case Last::kDot:
            return Error(EINVAL);
        case Last::kDotDot:
            return Error(ENOTEMPTY);
        case Last::kRoot:
            return Error(EBUSY);
        case Last::kName:
            break;
    }
    Path victim = TRY(find_victim(walker));
    Inode& directory = walker.directory().inode();
    if (victim.dentry == victim.mount->root()) return Error(EBUSY);
    TRY(check_removal(directory, victim.inode(), credentials()));
    if (!victim.inode().is_directory()) return Error(ENOTDIR);
    RefPtr<Inode> inode = victim.dentry->inode_ref();
    TRY(directory.remove_directory(walker.last_name(), *inode));
    drop_name(victim);
    notify_name(directory, walker.last_name(), IN_DELETE, *inode);
    return {};
}

Result<long> remove_at(int dirfd, UserIn<char> path, bool directory) {
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    PathWalker walker(argument.context(), 0);
    TRY(walker.walk_to_last(argument.name()));
    TRY(directory ? remove_directory(walker) : remove_file(walker));
    return 0;
}

bool is_below(const Dentry* dentry, const Dentry* ancestor) {
    while (dentry && dentry != ancestor) dentry = dentry->parent();
    return dentry != nullptr;
}

// One side of a rename: the directory may be changed, and the moved directory's ".." too.
Result<void> check_move(const Inode& directory, const Inode& moved, bool changes_parent) {
    TRY(check_removal(directory, moved, credentials()));
    if (moved.is_directory() && changes_parent) {
        TRY(check_permission(moved, kMayWrite, credentials()));
    }
    return {};
}

Result<void> check_replacement(const Inode& source, const Inode& target, uint32_t flags) {
    if (flags & RENAME_EXCHANGE) return {};
    if (source.is_directory() && !target.is_directory()) return Error(ENOTDIR);
    if (!source.is_directory() && target.is_directory()) return Error(EISDIR);
    return {};
}

Result<void> rename_last(PathWalker& from, PathWalker& to, uint32_t flags) {
    const Path& old_parent = from.directory();
    const Path& new_parent = to.directory();
    if (old_parent.mount != new_parent.mount) return Error(EXDEV);
    if (from.last_kind() != Last::kName) return Error(EBUSY);
    if (to.last_kind() != Last::kName) return Error(flags & RENAME_NOREPLACE ? EEXIST : EBUSY);
    TRY(check_writable(old_parent));

    Path source = TRY(from.look_up_last());
    Result<Path> found = to.look_up_last();
    if (!found.ok() && found.error_code() != ENOENT) return found.error();
    Path target;
    if (found.ok()) target = *found;
    if (target && (flags & RENAME_NOREPLACE)) return Error(EEXIST);
    if (!target && (flags & RENAME_EXCHANGE)) return Error(ENOENT);
    bool source_is_directory = source.inode().is_directory();
    if ((flags & RENAME_EXCHANGE) && !target.inode().is_directory() && to.has_trailing_slash()) {
        return Error(ENOTDIR);
    }
    if (!source_is_directory) {
        if (from.has_trailing_slash()) return Error(ENOTDIR);
        if (!(flags & RENAME_EXCHANGE) && to.has_trailing_slash()) return Error(ENOTDIR);
    }
    // A directory cannot go into itself, nor replace one that it lies in.
    if (is_below(new_parent.dentry.get(), source.dentry.get())) return Error(EINVAL);
    if (target && is_below(old_parent.dentry.get(), target.dentry.get())) {
        return Error(flags & RENAME_EXCHANGE ? EINVAL : ENOTEMPTY);
    }
    if (target && source.dentry->inode_ref() == target.dentry->inode_ref()) return {};

    bool changes_parent = old_parent.dentry != new_parent.dentry;
    Inode& old_directory = old_parent.inode();
    Inode& new_directory = new_parent.inode();
    TRY(check_move(old_directory, source.inode(), changes_parent));
    if (target) {
        TRY(check_move(new_directory, target.inode(), changes_parent && (flags & RENAME_EXCHANGE)));
        TRY(check_replacement(source.inode(), target.inode(), flags));
    } else {
        if (new_parent.dentry->is_deleted()) return Error(ENOENT);
        TRY(check_permission(new_directory, kMayWrite | kMayExecute, credentials()));
    }
    if (source.dentry->is_mount_point() || source.dentry == source.mount->root()) {
        return Error(EBUSY);
    }
    if (target && (target.dentry->is_mount_point() || target.dentry == target.mount->root())) {
        return Error(EBUSY);
    }

    TRY(old_directory.rename(from.last_name(), source.inode(), new_directory, to.last_name(),
                             target ? &target.inode() : nullptr, flags));
    RefPtr<Dentry> old_dentry = old_parent.dentry, new_dentry = new_parent.dentry;
    if (target && (flags & RENAME_EXCHANGE)) {
        DentryCache::move(*target.dentry, old_dentry, from.last_name());
    } else if (target) {
        DentryCache::remove(*target.dentry);
    }
    DentryCache::move(*source.dentry, new_dentry, to.last_name());
    const bool exchanges = flags & RENAME_EXCHANGE;
    notify_move(old_directory, from.last_name(), *source.dentry,
                target && !exchanges ? &target.inode() : nullptr);
    if (exchanges) notify_move(new_directory, to.last_name(), *target.dentry, nullptr);
    return {};
}

}  // namespace

Result<long> sys_mkdirat(int dirfd, UserIn<char> path, unsigned mode) {
    return make_node(dirfd, path, {.mode = S_IFDIR | (mode & (0777 | S_ISVTX))});
}

Result<long> sys_mkdir(UserIn<char> path, unsigned mode) {
    return sys_mkdirat(AT_FDCWD, path, mode);
}

Result<long> sys_mknodat(int dirfd, UserIn<char> path, unsigned mode, unsigned device) {
    uint32_t type = mode & S_IFMT;
    if (type == 0) type = S_IFREG;
    NewInode what = {.mode = type | (mode & 07777)};
    switch (type) {
        case S_IFREG:
        case S_IFIFO:
        case S_IFSOCK:
            break;
        case S_IFCHR:
        case S_IFBLK:
            // A character device 0/0 is a whiteout, which needs no power.
            if (!(type == S_IFCHR && device == 0) && !credentials().has_capability(kCapMknod)) {
                return Error(EPERM);
            }
            what.device = device;
            break;
        case S_IFDIR:
            return Error(EPERM);
        default:
            return Error(EINVAL);
    }
    return make_node(dirfd, path, what);
}

Result<long> sys_mknod(UserIn<char> path, unsigned mode, unsigned device) {
    return sys_mknodat(AT_FDCWD, path, mode, device);
}

Result<long> sys_symlinkat(UserIn<char> target, int dirfd, UserIn<char> path) {
    PathArgument text;
    TRY(text.read(target));
    if (text.name().empty()) return Error(ENOENT);
    return make_node(dirfd, path, {.mode = S_IFLNK | 0777, .link_target = text.name()});
}

Result<long> sys_symlink(UserIn<char> target, UserIn<char> path) {
    return sys_symlinkat(target, AT_FDCWD, path);
}

Result<long> sys_linkat(int old_dirfd, UserIn<char> old_path, int new_dirfd,
                        UserIn<char> new_path, int flags) {
    constexpr uint32_t kMaxLinks = 0xffffffff;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) return Error(EINVAL);
    if ((flags & AT_EMPTY_PATH) && !credentials().has_capability(kCapDacReadSearch)) {
        return Error(ENOENT);
    }
    PathArgument old_argument, new_argument;
    TRY(old_argument.read(old_path, old_dirfd));
    uint32_t walk_flags = (flags & AT_SYMLINK_FOLLOW ? kFollowLast : 0u) |
                          (flags & AT_EMPTY_PATH ? kAllowEmpty : 0u);
    Path source = TRY(old_argument.resolve(walk_flags));
    TRY(new_argument.read(new_path, new_dirfd));
    PathWalker walker(new_argument.context(), 0);
    TRY(walker.walk_to_last(new_argument.name()));
    TRY(check_new_name(walker, false));
    const Path& parent = walker.directory();
    TRY(check_writable(parent));
    if (source.mount != parent.mount) return Error(EXDEV);
    TRY(check_permission(parent.inode(), kMayWrite | kMayExecute, credentials()));
    Inode& inode = source.inode();
    if (inode.is_directory()) return Error(EPERM);
    if (parent.dentry->is_deleted()) return Error(ENOENT);
    // A file without a name can be given one only if O_TMPFILE made it, without O_EXCL.
    if (inode.link_count == 0 && !inode.may_be_named) return Error(ENOENT);
    if (inode.link_count == kMaxLinks) return Error(EMLINK);
    TRY(parent.inode().link(walker.last_name(), inode));
    inode.may_be_named = false;
    TRY(DentryCache::add(parent.dentry, walker.last_name(), source.dentry->inode_ref()));
    notify_inode(inode, IN_ATTRIB);
    notify_name(parent.inode(), walker.last_name(), IN_CREATE, inode);
    return 0;
}

Result<long> sys_link(UserIn<char> old_path, UserIn<char> new_path) {
    return sys_linkat(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

Result<long> sys_unlinkat(int dirfd, UserIn<char> path, int flags) {
    if (flags & ~AT_REMOVEDIR) return Error(EINVAL);
    return remove_at(dirfd, path, flags & AT_REMOVEDIR);
}

Result<long> sys_unlink(UserIn<char> path) { return remove_at(AT_FDCWD, path, false); }

Result<long> sys_rmdir(UserIn<char> path) { return remove_at(AT_FDCWD, path, true); }

Result<long> sys_renameat2(int old_dirfd, UserIn<char> old_path, int new_dirfd,
                           UserIn<char> new_path, unsigned flags) {
    if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) return Error(EINVAL);
    if ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))) {
        return Error(EINVAL);
    }
    if (flags & RENAME_WHITEOUT) {
        return Error(credentials().has_capability(kCapMknod) ? EINVAL : EPERM);
    }
    PathArgument old_argument, new_argument;
    TRY(old_argument.read(old_path, old_dirfd));
    TRY(new_argument.read(new_path, new_dirfd));
    PathWalker from(old_argument.context(), 0), to(new_argument.context(), 0);
    TRY(from.walk_to_last(old_argument.name()));
    TRY(to.walk_to_last(new_argument.name()));
    TRY(rename_last(from, to, flags));
    return 0;
}

Result<long> sys_renameat(int old_dirfd, UserIn<char> old_path, int new_dirfd,
                          UserIn<char> new_path) {
    return sys_renameat2(old_dirfd, old_path, new_dirfd, new_path, 0);
}

Result<long> sys_rename(UserIn<char> old_path, UserIn<char> new_path) {
    return sys_renameat2(AT_FDCWD, old_path, AT_FDCWD, new_path, 0);
}

}  // namespace coracle
