// Extended attributes (man 7 xattr).
#include <fcntl.h>
#include <linux/limits.h>
#include <sys/inotify.h>
#include <sys/xattr.h>

#include <algorithm>
#include <memory>
#include <new>

#include "libposix/files/path_argument.h"
#include "libposix/fs/notify.h"
#include "libposix/fs/permission.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

Result<Path> resolve(UserIn<char> path, uint32_t walk_flags) {
    PathArgument argument;
    TRY(argument.read(path));
    return argument.resolve(walk_flags);
}

Result<Path> place_of(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    return file->path();
}

class Name {
  public:
    Result<void> read(UserIn<char> from) {
        text_ = TRY(read_string(from, buffer_, sizeof(buffer_), ERANGE));
        if (text_.empty()) return Error(ERANGE);
        return {};
    }
    std::string_view text() const { return text_; }

  private:
    char buffer_[XATTR_NAME_MAX + 1];
    std::string_view text_;
};

using Buffer = std::unique_ptr<char[]>;

Result<Buffer> make_buffer(size_t size) {
    Buffer buffer(new (std::nothrow) char[std::max<size_t>(size, 1)]);
    if (!buffer) return Error(ENOMEM);
    return buffer;
}

// Who may read or write which name space.
Result<void> check_access(const Inode& inode, std::string_view name, uint32_t wanted) {
    const Credentials& who = current_credentials();
    bool writes = wanted & kMayWrite;
    if (name.starts_with("trusted.")) {
        if (who.has_capability(kCapSysAdmin)) return {};
        return Error(writes ? EPERM : ENODATA);
    }
    if (name.starts_with("security.") || name.starts_with("system.")) {
        if (!writes || !name.starts_with("security.")) return {};
        if (who.has_capability(kCapSysAdmin)) return {};
        return Error(EPERM);
    }
    if (name.starts_with("user.")) {
        if (!inode.is_regular() && !inode.is_directory()) return Error(writes ? EPERM : ENODATA);
        if (inode.is_directory() && (inode.mode & S_ISVTX) && writes &&
            !is_owner_or_capable(inode, who)) {
            return Error(EPERM);
        }
    }
    return check_permission(inode, wanted, who);
}

Result<long> set(const Path& place, UserIn<char> name, UserIn<char> value, size_t size,
                 int flags) {
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) return Error(EINVAL);
    Name copied;
    TRY(copied.read(name));
    if (size > XATTR_SIZE_MAX) return Error(E2BIG);
    Buffer buffer = TRY(make_buffer(size));
    TRY(value.read_array(buffer.get(), size));
    TRY(check_writable(place));
    TRY(check_access(place.inode(), copied.text(), kMayWrite));
    TRY(place.inode().set_xattr(copied.text(), buffer.get(), size, flags));
    notify_file(*place.dentry, IN_ATTRIB);
    return 0;
}

Result<long> get(const Path& place, UserIn<char> name, UserOut<char> value, size_t size) {
    Name copied;
    TRY(copied.read(name));
    TRY(check_access(place.inode(), copied.text(), kMayRead));
    size = std::min<size_t>(size, XATTR_SIZE_MAX);
    Buffer buffer = TRY(make_buffer(size));
    size_t length = TRY(place.inode().get_xattr(copied.text(), buffer.get(), size));
    if (size != 0) TRY(value.write_array(buffer.get(), length));
    return static_cast<long>(length);
}

Result<long> list(const Path& place, UserOut<char> names, size_t size) {
    size = std::min<size_t>(size, XATTR_LIST_MAX);
    Buffer buffer = TRY(make_buffer(size));
    size_t length = TRY(place.inode().list_xattrs(buffer.get(), size));
    if (size != 0) TRY(names.write_array(buffer.get(), length));
    return static_cast<long>(length);
}

Result<long> remove(const Path& place, UserIn<char> name) {
    Name copied;
    TRY(copied.read(name));
    TRY(check_writable(place));
    TRY(check_access(place.inode(), copied.text(), kMayWrite));
    TRY(place.inode().remove_xattr(copied.text()));
    notify_file(*place.dentry, IN_ATTRIB);
    return 0;
}

}  // namespace

Result<long> sys_setxattr(UserIn<char> path, UserIn<char> name, UserIn<char> value, size_t size,
                          int flags) {
    return set(TRY(resolve(path, kFollowLast)), name, value, size, flags);
}
Result<long> sys_lsetxattr(UserIn<char> path, UserIn<char> name, UserIn<char> value, size_t size,
                           int flags) {
    return set(TRY(resolve(path, 0)), name, value, size, flags);
}
Result<long> sys_fsetxattr(int fd, UserIn<char> name, UserIn<char> value, size_t size,
                           int flags) {
    return set(TRY(place_of(fd)), name, value, size, flags);
}

Result<long> sys_getxattr(UserIn<char> path, UserIn<char> name, UserOut<char> value,
                          size_t size) {
    return get(TRY(resolve(path, kFollowLast)), name, value, size);
}
Result<long> sys_lgetxattr(UserIn<char> path, UserIn<char> name, UserOut<char> value,
                           size_t size) {
    return get(TRY(resolve(path, 0)), name, value, size);
}
Result<long> sys_fgetxattr(int fd, UserIn<char> name, UserOut<char> value, size_t size) {
    return get(TRY(place_of(fd)), name, value, size);
}

Result<long> sys_listxattr(UserIn<char> path, UserOut<char> names, size_t size) {
    return list(TRY(resolve(path, kFollowLast)), names, size);
}
Result<long> sys_llistxattr(UserIn<char> path, UserOut<char> names, size_t size) {
    return list(TRY(resolve(path, 0)), names, size);
}
Result<long> sys_flistxattr(int fd, UserOut<char> names, size_t size) {
    return list(TRY(place_of(fd)), names, size);
}

Result<long> sys_removexattr(UserIn<char> path, UserIn<char> name) {
    return remove(TRY(resolve(path, kFollowLast)), name);
}
Result<long> sys_lremovexattr(UserIn<char> path, UserIn<char> name) {
    return remove(TRY(resolve(path, 0)), name);
}
Result<long> sys_fremovexattr(int fd, UserIn<char> name) {
    return remove(TRY(place_of(fd)), name);
}

}  // namespace coracle
