// What a process calls "/" and ".", and its umask. Shared by clone(2) with CLONE_FS.
#pragma once

#include "libposix/fs/path.h"

namespace coracle {

class FileSystemContext : public RefCounted<FileSystemContext> {
  public:
    FileSystemContext(Path root_path, Path working_directory)
        : root(std::move(root_path)), cwd(std::move(working_directory)) {}
    // A copy for fork(2). ENOMEM.
    Result<RefPtr<FileSystemContext>> clone() const;

    Path root;
    Path cwd;
    uint32_t umask = 022;
};

}  // namespace coracle
