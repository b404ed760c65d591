#include "libposix/files/open_file.h"

#include <fcntl.h>
#include <sys/inotify.h>

#include "kernel-min/memory/heap.h"
#include "libposix/files/inode_file.h"
#include "libposix/files/pipe.h"
#include "libposix/fs/dentry_cache.h"
#include "libposix/fs/device_node.h"
#include "libposix/fs/notify.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/permission.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

constexpr uint32_t kTmpfile = O_TMPFILE & ~O_DIRECTORY;

bool is_read_only(const Path& path) { return path.mount && path.mount->is_read_only(); }

uint32_t wanted_access(uint32_t flags) {
    constexpr uint32_t kByAccessMode[] = {kMayRead, kMayWrite, kMayRead | kMayWrite,
                                          kMayRead | kMayWrite};
    uint32_t wanted = kByAccessMode[flags & O_ACCMODE];
    return flags & O_TRUNC ? wanted | kMayWrite : wanted;
}

// What open(2) checks before it opens something that was there already.
Result<void> may_open(const Path& path, uint32_t flags, const Credentials& who) {
    Inode& inode = path.inode();
    uint32_t wanted = wanted_access(flags);
    if (inode.is_symlink()) return Error(flags & O_DIRECTORY ? ENOTDIR : ELOOP);
    if (inode.is_directory()) {
        if (flags & O_CREAT) return Error(EISDIR);
        if (wanted & kMayWrite) return Error(EISDIR);
    } else if (flags & O_DIRECTORY) {
        return Error(ENOTDIR);
    }
    bool is_device = S_ISCHR(inode.mode) || S_ISBLK(inode.mode);
    if (is_device && (path.mount->flags() & Mount::kNoDev)) return Error(EACCES);
    bool has_own_data = inode.is_regular() || inode.is_directory();
    if ((wanted & kMayWrite) && has_own_data && is_read_only(path)) return Error(EROFS);
    TRY(check_permission(inode, wanted, who));
    if ((flags & O_NOATIME) && !is_owner_or_capable(inode, who)) return Error(EPERM);
    return {};
}

// `flags` with O_TRUNC: a regular file is emptied.
Result<RefPtr<File>> open_inode(const Path& path, uint32_t flags) {
    constexpr uint32_t kNotKept = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
    RefPtr<File> file = TRY(path.inode().open(path, flags & ~kNotKept));
    notify_open_file(path, IN_OPEN);
    if ((flags & O_TRUNC) && path.inode().is_regular()) TRY(file->truncate(0));
    return file;
}

Result<RefPtr<File>> open_unnamed(const WalkContext& context, std::string_view name,
                                  const OpenHow& how) {
    Path directory =
        TRY(PathWalker(context, how.walk_flags | kFollowLast | kLastIsDirectory).resolve(name));
    const Credentials& who = context.credentials;
    if (is_read_only(directory)) return Error(EROFS);
    TRY(check_permission(directory.inode(), kMayWrite | kMayExecute, who));
    NewInode what = {.mode = S_IFREG | (how.mode & 07777 & ~current_process()->file_system->umask),
                     .uid = who.fsuid,
                     .gid = who.fsgid};
    RefPtr<Inode> inode = TRY(directory.inode().create_unnamed(what));
    inode->may_be_named = !(how.flags & O_EXCL);
    char text[24] = "/#";
    size_t length = 2;
    for (uint64_t divisor = 1000000000; divisor != 0; divisor /= 10) {
        uint64_t digit = inode->number / divisor % 10;
        if (digit != 0 || length > 2) text[length++] = static_cast<char>('0' + digit);
    }
    RefPtr<Dentry> dentry = TRY(Dentry::create(directory.dentry, {text + 1, length - 1}, inode));
    dentry->mark_deleted();
    return open_inode({directory.mount, dentry}, how.flags & ~kTmpfile & ~O_DIRECTORY);
}

Result<RefPtr<File>> open_existing(const Path& path, const OpenHow& how, const Credentials& who) {
    if (how.flags & O_PATH) {
        if ((how.flags & O_DIRECTORY) && !path.inode().is_directory()) return Error(ENOTDIR);
        return RefPtr<File>(TRY(make_ref<PathFile>(path, how.flags & (O_PATH | O_DIRECTORY))));
    }
    TRY(may_open(path, how.flags, who));
    return open_inode(path, how.flags);
}

Result<RefPtr<File>> open_or_create(const WalkContext& context, std::string_view name,
                                    const OpenHow& how) {
    PathWalker walker(context, how.walk_flags);
    TRY(walker.walk_to_last(name));
    for (;;) {
        if (walker.has_trailing_slash()) return Error(EISDIR);
        Result<Path> found = walker.look_up_last();
        if (!found.ok()) {
            if (found.error_code() != ENOENT) return found.error();
            NewInode what = {.mode = S_IFREG | (how.mode & 07777)};
            Path created = TRY(create_last(walker, context.credentials, what));
            // Whoever makes a file may have it open in any way, whatever its mode says.
            return open_inode(created, how.flags & ~O_TRUNC);
        }
        if (how.flags & O_EXCL) return Error(EEXIST);
        if (!found->inode().is_symlink() || (how.flags & O_NOFOLLOW)) {
            return open_existing(*found, how, context.credentials);
        }
        Path jumped = TRY(walker.follow_last(*found));
        if (jumped) return open_existing(jumped, how, context.credentials);
    }
}

}  // namespace

Result<void> validate_open(OpenHow& how) {
    if (how.flags & O_PATH) {
        how.flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        return {};
    }
    if (how.flags & kTmpfile) {
        if (!(how.flags & O_DIRECTORY) || (how.flags & O_CREAT)) return Error(EINVAL);
        if (!(wanted_access(how.flags) & kMayWrite)) return Error(EINVAL);
    }
    return {};
}

Result<RefPtr<File>> open_file(const WalkContext& context, std::string_view name,
                               const OpenHow& how) {
    if (how.flags & kTmpfile) return open_unnamed(context, name, how);
    if (how.flags & O_CREAT) return open_or_create(context, name, how);
    uint32_t walk_flags = how.walk_flags;
    if (!(how.flags & O_NOFOLLOW)) walk_flags |= kFollowLast;
    Path path = TRY(PathWalker(context, walk_flags).resolve(name));
    return open_existing(path, how, context.credentials);
}

Result<void> check_new_name(PathWalker& walker, bool makes_directory) {
    if (walker.last_kind() != PathWalker::Last::kName) return Error(EEXIST);
    Result<Path> found = walker.look_up_last();
    if (found.ok()) return Error(EEXIST);
    if (found.error_code() != ENOENT) return found.error();
    if (walker.has_trailing_slash() && !makes_directory) return Error(ENOENT);
    return {};
}

Result<Path> create_last(const PathWalker& walker, const Credentials& who, NewInode what) {
    const Path& parent = walker.directory();
    Inode& directory = parent.inode();
    if (is_read_only(parent)) return Error(EROFS);
    if (parent.dentry->is_deleted()) return Error(ENOENT);
    TRY(check_permission(directory, kMayWrite | kMayExecute, who));
    if ((what.mode & S_IFMT) != S_IFLNK) what.mode &= ~current_process()->file_system->umask;
    what.uid = who.fsuid;
    what.gid = who.fsgid;
    if (directory.mode & S_ISGID) {
        what.gid = directory.gid;
        if (S_ISDIR(what.mode)) {
            what.mode |= S_ISGID;
        } else if ((what.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
                   !who.in_group(what.gid) && !who.has_capability(kCapFsetid)) {
            what.mode &= ~S_ISGID;
        }
    }
    RefPtr<Inode> inode = TRY(directory.create(walker.last_name(), what));
    RefPtr<Dentry> dentry =
        TRY(DentryCache::add(parent.dentry, walker.last_name(), std::move(inode)));
    notify_name(directory, dentry->name(), IN_CREATE, dentry->inode());
    return Path{parent.mount, std::move(dentry)};
}

Result<RefPtr<File>> Inode::open(const Path& path, uint32_t flags) {
    RefPtr<Inode> self(this);
    if (reopen) return reopen(path, self, flags);
    switch (mode & S_IFMT) {
        case S_IFREG:
            return RegularFile::open(path, self, flags);
        case S_IFDIR:
            if (flags & O_DIRECT) return Error(EINVAL);
            return RefPtr<File>(TRY(make_ref<DirectoryFile>(path, self, flags)));
        case S_IFCHR:
            return open_char_device(path, self, flags);
        case S_IFIFO:
            return open_fifo(path, self, flags);
        default:
            return Error(ENXIO);
    }
}

Result<RefPtr<File>> open_path(std::string_view path, uint32_t flags) {
    static const Credentials kKernel;
    Process* process = current_thread() ? current_process() : nullptr;
    const Path& root = process && process->file_system ? process->file_system->root : root_path();
    OpenHow how = {.flags = flags};
    TRY(validate_open(how));
    return open_file({root, root, process ? process->credentials : kKernel}, path, how);
}

}  // namespace coracle
