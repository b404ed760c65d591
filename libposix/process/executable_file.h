// The file that a process executes. Nobody may write to it meanwhile (execve(2): ETXTBSY).
#pragma once

#include <utility>

#include "kernel-min/lib/ref_ptr.h"
#include "libposix/fs/inode.h"

namespace coracle {

class ExecutableFile {
  public:
    ExecutableFile() = default;
    // Precondition: the file is not open for writing.
    explicit ExecutableFile(RefPtr<Inode> inode) : inode_(std::move(inode)) {
        inode_->write_count--;
    }
    ExecutableFile(const ExecutableFile& other) : inode_(other.inode_) {
        if (inode_) inode_->write_count--;
    }
    ExecutableFile& operator=(ExecutableFile other) {
        std::swap(inode_, other.inode_);
        return *this;
    }
    ~ExecutableFile() {
        if (inode_) inode_->write_count++;
    }

  private:
    RefPtr<Inode> inode_;
};

}  // namespace coracle
