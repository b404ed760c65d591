// open(2) and the creation of names, with all their rules but the copying of arguments: for the
// system calls and for exec.
#pragma once

#include <cstdint>
#include <string_view>

#include "libposix/files/file.h"
#include "libposix/fs/path_walk.h"

namespace coracle {

struct OpenHow {
    uint32_t flags = 0;
    uint32_t mode = 0;        // of a new file, less the umask
    uint32_t walk_flags = 0;  // RESOLVE_* as WalkFlag
};

// Precondition: `how` went through validate_open(). The errors of open(2).
Result<RefPtr<File>> open_file(const WalkContext& context, std::string_view name,
                               const OpenHow& how);

// Drops what open(2) ignores. EINVAL.
Result<void> validate_open(OpenHow& how);

// What comes before create_last(): the name must not be there (EEXIST). A slash behind the name of
// something that is not to be a directory is ENOENT.
Result<void> check_new_name(PathWalker& walker, bool makes_directory);

// Makes the name where `walker` stopped: EROFS, EACCES, and the file system's errors. The owner is
// the caller, the group too unless the directory hands on its own (S_ISGID).
Result<Path> create_last(const PathWalker& walker, const Credentials& credentials, NewInode what);

}  // namespace coracle
