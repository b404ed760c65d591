// Advisory locks: fcntl(2)'s of a process (POSIX) and of an open file description (OFD), and
// flock(2)'s. Both kinds live with the inode and do not see each other.
#pragma once

#include <fcntl.h>

#include "kernel-min/lib/result.h"
#include "libposix/files/file.h"

namespace coracle {

class Process;

// F_GETLK, F_OFD_GETLK: changes `lock` to the first one in the way, or to F_UNLCK.
Result<void> get_file_lock(File& file, struct flock& lock, bool is_ofd);
// F_SETLK, F_OFD_SETLK (and with `wait` F_SETLKW): EAGAIN, EBADF, EINVAL, ENOMEM, EDEADLK,
// kErestartsys.
Result<void> set_file_lock(File& file, const struct flock& lock, bool is_ofd, bool wait);
// flock(2). EAGAIN (EWOULDBLOCK), EINVAL, ENOMEM, kErestartsys.
Result<void> set_flock(File& file, int operation);

// A process closed one of its descriptors of the file: its POSIX locks go.
void release_posix_locks(File& file, Process& process);
// The last close: the locks of the open file description go.
void release_file_locks(File& file);

}  // namespace coracle
