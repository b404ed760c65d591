#include "libposix/files/path_argument.h"

#include <new>

#include "libposix/process/process.h"

namespace coracle {

Result<void> PathArgument::read(UserIn<char> path, int dirfd) {
    long length = copy_string_from_user(inline_, path.address(), sizeof(inline_));
    const char* text = inline_;
    if (length == -ENAMETOOLONG) {
        long_.reset(new (std::nothrow) char[kMaxPath]);
        if (!long_) return Error(ENOMEM);
        length = copy_string_from_user(long_.get(), path.address(), kMaxPath);
        text = long_.get();
    }
    if (length < 0) return Error(static_cast<int>(-length));
    name_ = {text, static_cast<size_t>(length)};
    if (dirfd == AT_FDCWD || name_.starts_with('/')) return {};

    RefPtr<File> file = TRY(current_process()->descriptors->get(dirfd));
    if (!name_.empty() && !file->inode().is_directory()) return Error(ENOTDIR);
    directory_ = file->path();
    return {};
}

WalkContext PathArgument::context() const {
    const Process& process = *current_process();
    return {process.file_system->root, directory_ ? directory_ : process.file_system->cwd,
            current_credentials()};
}

Result<Path> PathArgument::resolve(uint32_t walk_flags) const {
    return PathWalker(context(), walk_flags).resolve(name_);
}

Result<std::string_view> read_string(UserIn<char> from, char* to, size_t size, int too_long) {
    long length = copy_string_from_user(to, from.address(), size);
    if (length == -ENAMETOOLONG) return Error(too_long);
    if (length < 0) return Error(static_cast<int>(-length));
    return std::string_view(to, static_cast<size_t>(length));
}

Result<uint32_t> walk_flags_of(int at_flags, int allowed) {
    if (at_flags & ~allowed) return Error(EINVAL);
    uint32_t flags = at_flags & AT_SYMLINK_NOFOLLOW ? 0u : uint32_t{kFollowLast};
    if (at_flags & AT_EMPTY_PATH) flags |= kAllowEmpty;
    return flags;
}

Result<void> check_writable(const Path& path) {
    if (path.mount && path.mount->is_read_only()) return Error(EROFS);
    return {};
}

}  // namespace coracle
