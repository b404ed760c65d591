// Building the tree at boot.
#pragma once

#include <string_view>

#include "kernel-min/lib/result.h"
#include "kernel-min/memory/frames.h"
#include "libposix/files/file.h"
#include "libposix/fs/path.h"

namespace coracle {

// Mounts the root (tmpfs over the EROFS image in the boot module; empty if `module_size` is 0),
// /dev, /proc, /sys and /dev/shm. A bad image is EUCLEAN or EINVAL and a message; the root is
// then empty.
Result<void> mount_root(PhysAddr module_start, size_t module_size);

// Makes what lies at the path and below it read-only (EROFS), as a bind mount over itself does.
// ENOENT and the rest of path resolution.
Result<void> mount_read_only(std::string_view path);

// The root of the tree.
const Path& root_path();

// For exec: opens an absolute kernel path from the root of the current process, or of the tree
// while there is none. `flags` as for open(2), without O_CREAT.
Result<RefPtr<File>> open_path(std::string_view path, uint32_t flags);

}  // namespace coracle
