// The stat family, statx, access, readlink, statfs and ustat.
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cstring>

#include "libposix/files/inode_file.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/device_node.h"
#include "libposix/fs/permission.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

// The C library no longer declares it.
struct ustat {
    int f_tfree;
    unsigned long f_tinode;
    char f_fname[6], f_fpack[6];
};

namespace coracle {
namespace {

Result<void> stat_path(const Path& path, struct ::stat& to) {
    Inode& inode = path.inode();
    TRY(inode.refresh());
    fill_stat(inode, to);
    return {};
}

Result<long> stat_at(int dirfd, UserIn<char> path, UserOut<struct stat> st, uint32_t walk_flags) {
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    struct ::stat result;
    TRY(stat_path(TRY(argument.resolve(walk_flags)), result));
    TRY(st.write(result));
    return 0;
}

Result<long> stat_descriptor(int fd, UserOut<struct stat> st) {
    BorrowedFile file = current_process()->descriptors->borrow_any(fd);
    if (!file) return Error(EBADF);
    struct ::stat result;
    TRY(file->stat(result));
    TRY(st.write(result));
    return 0;
}

// Whether the path argument is "": fstat(3) of the C library comes here with AT_EMPTY_PATH.
Result<bool> is_empty(UserIn<char> path) { return TRY(path.read()) == '\0'; }

struct statx_timestamp to_statx_time(const timespec& time) {
    const auto ns = static_cast<uint32_t>(time.tv_nsec);
    return {.tv_sec = time.tv_sec, .tv_nsec = ns, .__reserved = {}};
}

struct statx make_statx(const struct ::stat& from, const Inode& inode, const Mount* mount,
                        bool is_mount_root) {
    constexpr uint32_t kMountId = 0x1000;         // STATX_MNT_ID
    constexpr uint64_t kIsMountRoot = 0x2000;     // STATX_ATTR_MOUNT_ROOT
    struct statx to = {};
    to.stx_mask = STATX_BASIC_STATS | STATX_BTIME | kMountId;
    to.stx_blksize = static_cast<uint32_t>(from.st_blksize);
    to.stx_attributes_mask = kIsMountRoot;
    if (is_mount_root) to.stx_attributes = kIsMountRoot;
    to.stx_nlink = static_cast<uint32_t>(from.st_nlink);
    to.stx_uid = from.st_uid;
    to.stx_gid = from.st_gid;
    to.stx_mode = static_cast<uint16_t>(from.st_mode);
    to.stx_ino = from.st_ino;
    to.stx_size = static_cast<uint64_t>(from.st_size);
    to.stx_blocks = static_cast<uint64_t>(from.st_blocks);
    to.stx_atime = to_statx_time(from.st_atim);
    to.stx_mtime = to_statx_time(from.st_mtim);
    to.stx_ctime = to_statx_time(from.st_ctim);
    to.stx_btime = to_statx_time(inode.birth_time);
    to.stx_rdev_major = device_major(from.st_rdev);
    to.stx_rdev_minor = device_minor(from.st_rdev);
    to.stx_dev_major = device_major(from.st_dev);
    to.stx_dev_minor = device_minor(from.st_dev);
    to.stx_mnt_id = mount ? mount->id() : 0;
    return to;
}

Result<long> access_at(int dirfd, UserIn<char> path, int mode, int flags) {
    if (mode & ~(R_OK | W_OK | X_OK)) return Error(EINVAL);
    if (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) return Error(EINVAL);
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    // Without AT_EACCESS the real ids count, and root's powers with the real user.
    Credentials who = current_credentials();
    if (!(flags & AT_EACCESS)) {
        who.fsuid = who.uid;
        who.fsgid = who.gid;
        who.effective = who.uid == 0 ? who.permitted : 0;
    }
    WalkContext context = argument.context();
    uint32_t walk_flags = TRY(walk_flags_of(flags & ~AT_EACCESS, flags));
    Path place =
        TRY(PathWalker({context.root, context.start, who}, walk_flags).resolve(argument.name()));
    Inode& inode = place.inode();
    if ((mode & X_OK) && inode.is_regular() && place.mount &&
        (place.mount->flags() & Mount::kNoExec)) {
        return Error(EACCES);
    }
    TRY(check_permission(inode, static_cast<uint32_t>(mode), who));
    bool has_own_data = inode.is_regular() || inode.is_directory() || inode.is_symlink();
    if ((mode & W_OK) && has_own_data) TRY(check_writable(place));
    return 0;
}

struct statfs make_statfs(const Inode& inode, const Mount* mount) {
    constexpr uint64_t kValid = 0x20, kRelatime = 0x1000;  // ST_VALID, ST_RELATIME
    const FileSystem& file_system = inode.file_system();
    FileSystem::Statistics statistics = file_system.statistics();
    struct statfs to = {};
    to.f_type = static_cast<int64_t>(statistics.type);
    to.f_bsize = to.f_frsize = static_cast<int64_t>(statistics.block_size);
    to.f_blocks = statistics.blocks;
    to.f_bfree = to.f_bavail = statistics.free_blocks;
    to.f_files = statistics.files;
    to.f_ffree = statistics.free_files;
    to.f_namelen = kMaxName;
    to.f_fsid.__val[0] = static_cast<int>(file_system.device);
    to.f_flags = static_cast<int64_t>(kValid | kRelatime | (mount ? mount->flags() & 15 : 0));
    return to;
}

}  // namespace

Result<long> sys_stat(UserIn<char> path, UserOut<struct stat> st) {
    return stat_at(AT_FDCWD, path, st, kFollowLast);
}

Result<long> sys_lstat(UserIn<char> path, UserOut<struct stat> st) {
    return stat_at(AT_FDCWD, path, st, 0);
}

Result<long> sys_fstat(int fd, UserOut<struct stat> st) { return stat_descriptor(fd, st); }

Result<long> sys_newfstatat(int dirfd, UserIn<char> path, UserOut<struct stat> st,
                            int flags) {
    uint32_t walk_flags =
        TRY(walk_flags_of(flags & ~AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    if ((flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD && TRY(is_empty(path))) {
        return stat_descriptor(dirfd, st);
    }
    return stat_at(dirfd, path, st, walk_flags);
}

Result<long> sys_statx(int dirfd, UserIn<char> path, int flags, unsigned mask,
                       UserOut<struct statx> st) {
    if (mask & STATX__RESERVED) return Error(EINVAL);
    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE) return Error(EINVAL);
    uint32_t walk_flags = TRY(walk_flags_of(flags & ~(AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE),
                                            AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    struct ::stat basic;
    if ((flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD && TRY(is_empty(path))) {
        BorrowedFile file = current_process()->descriptors->borrow_any(dirfd);
        if (!file) return Error(EBADF);
        TRY(file->stat(basic));
        const Mount* mount = file->path().mount.get();
        bool is_root = mount && mount->root() == file->path().dentry;
        TRY(st.write(make_statx(basic, file->inode(), mount, is_root)));
        return 0;
    }
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    Path place = TRY(argument.resolve(walk_flags));
    TRY(stat_path(place, basic));
    const Mount* mount = place.mount.get();
    bool is_root = mount && mount->root() == place.dentry;
    TRY(st.write(make_statx(basic, place.inode(), mount, is_root)));
    return 0;
}

Result<long> sys_access(UserIn<char> path, int mode) {
    return access_at(AT_FDCWD, path, mode, 0);
}

Result<long> sys_faccessat(int dirfd, UserIn<char> path, int mode) {
    return access_at(dirfd, path, mode, 0);
}

Result<long> sys_faccessat2(int dirfd, UserIn<char> path, int mode, int flags) {
    return access_at(dirfd, path, mode, flags);
}

Result<long> sys_readlinkat(int dirfd, UserIn<char> path, UserOut<char> buf, int size) {
    if (size <= 0) return Error(EINVAL);
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    Path place = TRY(argument.resolve(kAllowEmpty));
    Inode& inode = place.inode();
    if (!inode.is_symlink()) return Error(argument.name().empty() ? ENOENT : EINVAL);
    LinkTarget target = TRY(inode.read_link());
    touch_access_time(inode, place.mount.get());
    char text[kMaxPath];
    std::string_view shown = target.text;
    if (target.jump) {
        const Path& root = current_process()->file_system->root;
        shown = {text, TRY(format_path(target.jump, root, text, sizeof(text)))};
    }
    size_t length = std::min(shown.size(), static_cast<size_t>(size));
    TRY(buf.write_array(shown.data(), length));
    return static_cast<long>(length);
}

Result<long> sys_readlink(UserIn<char> path, UserOut<char> buf, int size) {
    return sys_readlinkat(AT_FDCWD, path, buf, size);
}

Result<long> sys_statfs(UserIn<char> path, UserOut<struct statfs> buf) {
    PathArgument argument;
    TRY(argument.read(path));
    Path place = TRY(argument.resolve(kFollowLast));
    TRY(buf.write(make_statfs(place.inode(), place.mount.get())));
    return 0;
}

Result<long> sys_fstatfs(int fd, UserOut<struct statfs> buf) {
    BorrowedFile file = current_process()->descriptors->borrow_any(fd);
    if (!file) return Error(EBADF);
    TRY(buf.write(make_statfs(file->inode(), file->path().mount.get())));
    return 0;
}

Result<long> sys_ustat(unsigned device, UserOut<struct ustat> buf) {
    for (Mount* mount = Mount::first(); mount; mount = mount->next()) {
        if (mount->file_system().device != device) continue;
        FileSystem::Statistics statistics = mount->file_system().statistics();
        struct ::ustat result = {};
        result.f_tfree = static_cast<int>(statistics.free_blocks);
        result.f_tinode = statistics.free_files;
        TRY(buf.write(result));
        return 0;
    }
    return Error(EINVAL);
}

}  // namespace coracle
