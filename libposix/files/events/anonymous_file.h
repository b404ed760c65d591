// What the event descriptors share: no name, one inode for all of them, and a position that
// nobody moves (Linux's anon_inodefs).
#pragma once

#include "kernel-min/memory/heap.h"
#include "libposix/files/file.h"
#include "libposix/process/process.h"

namespace coracle {

class AnonymousFile : public File {
  public:
    Result<uint64_t> seek(int64_t, int) override { return uint64_t{0}; }

  protected:
    using File::File;
};

// "anon_inode:NAME", which /proc/self/fd shows. ENOMEM.
Result<Path> make_event_path(std::string_view name);

// A new T(path, inode, flags, arguments...) on a descriptor. `flags`: O_RDWR or O_RDONLY, with
// O_NONBLOCK and O_CLOEXEC. EMFILE, ENOMEM.
template <typename T, typename... Arguments>
Result<long> open_event_file(std::string_view name, uint32_t flags, Arguments&&... arguments) {
    Path path = TRY(make_event_path(name));
    RefPtr<Inode> inode = path.dentry->inode_ref();
    RefPtr<T> file = TRY(make_ref<T>(path, std::move(inode), flags & ~uint32_t{O_CLOEXEC},
                                     std::forward<Arguments>(arguments)...));
    return install_descriptor(std::move(file), flags);
}

// The descriptor as a T. EBADF; EINVAL: it is something else.
template <typename T>
Result<RefPtr<T>> get_event_file(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    T* wanted = file_as<T>(*file);
    if (!wanted) return Error(EINVAL);
    return RefPtr<T>(wanted);
}

}  // namespace coracle
