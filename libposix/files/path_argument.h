// A path that a system call was given: a string in application memory, and for the calls with
// "at" in their names the descriptor of the directory where it starts.
#pragma once

#include <fcntl.h>

#include <memory>
#include <string_view>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/fs/path_walk.h"

namespace coracle {

class PathArgument {
  public:
    PathArgument() = default;
    PathArgument(const PathArgument&) = delete;
    PathArgument& operator=(const PathArgument&) = delete;

    // EFAULT, ENAMETOOLONG; EBADF and ENOTDIR for the directory of a relative path.
    Result<void> read(UserIn<char> path, int dirfd = AT_FDCWD);

    std::string_view name() const { return name_; }
    WalkContext context() const;
    // ENOENT and the rest of path resolution.
    Result<Path> resolve(uint32_t walk_flags) const;

  private:
    // Longer names than this are rare: they take memory of their own.
    char inline_[256];
    std::unique_ptr<char[]> long_;
    std::string_view name_;
    Path directory_;  // empty: the working directory
};

// Copies a string argument that is no path (an attribute's name, a memfd's): at most `size` - 1
// bytes. EFAULT; `too_long` if there is no NUL.
Result<std::string_view> read_string(UserIn<char> from, char* to, size_t size, int too_long);

// The walk flags for AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH. EINVAL for flags not in `allowed`.
Result<uint32_t> walk_flags_of(int at_flags, int allowed);

// EROFS if the place cannot be changed.
Result<void> check_writable(const Path& path);

}  // namespace coracle
