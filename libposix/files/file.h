// An open file description (open(2)): what descriptors refer to, with the offset and the status
// flags. Every kind of file derives from it: regular files, directories, pipes, devices, sockets.
//
// Lifetime: counted. Descriptors and calls in progress hold it; the destructor is the last close.
#pragma once

#include <fcntl.h>
#include <poll.h>

#include <cstdint>
#include <memory>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "kernel-min/sched/wait.h"
#include "libposix/files/io_buffer.h"
#include "libposix/files/io_signal.h"
#include "libposix/fs/inode.h"
#include "libposix/fs/path.h"
#include "libposix/memory/memory_object.h"

namespace coracle {

class EpollItem;
class Process;
class Socket;
class TextBuffer;

// The kernel's value; the C library says 0 for 64-bit programs.
constexpr uint32_t kOpenLargeFile = 0100000;

// What file_as() tells apart.
enum class FileKind : uint8_t {
    kOther, kEpoll, kEventFd, kTimerFd, kSignalFd, kInotify, kMessageQueue, kIoUring, kPidFd,
};

class File : public RefCounted<File> {
  public:
    // `path` may be empty (make_anonymous_path gives pipes and the like one with a name).
    // `flags`: access mode and status flags of open(2).
    File(Path path, RefPtr<Inode> inode, uint32_t flags);
    virtual ~File();

    const Path& path() const { return path_; }
    Inode& inode() const { return *inode_; }
    const RefPtr<Inode>& inode_ref() const { return inode_; }

    bool is_readable() const { return can_read_; }
    bool is_writable() const { return can_write_; }
    bool is_path_only() const { return (flags & O_PATH) != 0; }
    bool is_nonblocking() const { return (flags & O_NONBLOCK) != 0; }
    FileKind kind() const { return kind_; }
    // Whether pread(2) and pwrite(2) work; ESPIPE if not.
    bool is_seekable() const { return seekable_; }

    // The CPU whose threads use it, so that they may do that under the kernel lock held locally
    // (sched/kernel_lock.h): then all that its wake-ups reach belongs to that CPU, too, or is a
    // thread. Changes under the lock held alone.
    uint32_t home = kNoHome;
    // Under the lock held alone.
    virtual void leave_home() { home = kNoHome; }

    uint32_t flags;         // F_GETFL: access mode and status flags, without O_CLOEXEC
    uint64_t position = 0;  // of read and write, and of getdents
    FileOwner owner;        // F_SETOWN
    int owner_signal = 0;   // F_SETSIG
    std::unique_ptr<IoSignal> io_signal;  // there while O_ASYNC is among the flags

    // Transfers up to buffer.size() bytes at `position` and advances it; files without positions
    // (pipes, terminals) leave it alone. Returns the count; 0 from read is end of file. Sleeps
    // unless is_nonblocking() (EAGAIN) or buffer.flags has RWF_NOWAIT. EFAULT only if nothing was
    // moved. The caller has checked is_readable() or is_writable(). Default: EINVAL.
    virtual Result<size_t> read(IoBuffer& to, uint64_t& position);
    virtual Result<size_t> write(IoBuffer& from, uint64_t& position);

    // lseek(2). Default: ESPIPE.
    virtual Result<uint64_t> seek(int64_t offset, int whence);
    // ioctl(2) but FIOCLEX, FIONCLEX, FIONBIO, FIOASYNC. `argument` is the raw third argument.
    // Default: ENOTTY.
    virtual Result<long> ioctl(uint32_t command, uint64_t argument);
    // POLL* events that hold now. Default: always readable and writable.
    virtual uint32_t poll_events();
    // Woken when poll_events() may have changed; null if it never changes.
    virtual WaitQueue* wait_queue() { return nullptr; }
    // Whether epoll(7) takes it: EPERM if not.
    virtual bool can_poll() { return wait_queue() != nullptr; }
    // Whether it can send its owner signals (O_ASYNC). It has a wait queue then.
    virtual bool can_signal() { return false; }
    // What mmap(2) maps; the same object for the same file. Default: ENODEV.
    virtual Result<RefPtr<MemoryObject>> memory_object();
    // stat(2). Default: the inode's.
    virtual Result<void> stat(struct ::stat& to);
    virtual Result<void> list(DirectoryVisitor& visitor);  // ENOTDIR; entries from `position`
    virtual Result<void> truncate(uint64_t size);          // EINVAL
    virtual Result<void> allocate(int mode, uint64_t offset, uint64_t length);  // ENODEV
    virtual Result<void> sync(bool data_only);             // EINVAL
    // F_SETFL is about to set these status flags (EINVAL: not with this file).
    virtual Result<void> check_flags(uint32_t) { return {}; }
    // A descriptor of it was closed (posix locks go away; see close(2)).
    virtual void descriptor_closed(Process&) {}
    // The pipe behind it, if it is one.
    virtual Pipe* pipe() { return nullptr; }
    // The socket that it is, if it is one.
    virtual Socket* socket() { return nullptr; }
    // Text for /proc/self/fd/N, not terminated; default: the path. ENAMETOOLONG.
    virtual Result<size_t> describe(char* buffer, size_t size);
    // Further lines of /proc/self/fdinfo/N.
    virtual void describe_state(TextBuffer&) {}

    EpollItem* first_epoll_item = nullptr;  // those that watch it (libposix/files/events/epoll.h)

  protected:
    bool seekable_ = false;
    FileKind kind_ = FileKind::kOther;

  private:
    bool can_read_, can_write_;
    Path path_;
    RefPtr<Inode> inode_;
};

// The file as a T, if it is one: T::kKind tells.
template <typename T>
T* file_as(File& file) {
    return file.kind() == T::kKind ? static_cast<T*>(&file) : nullptr;
}

// A path for a file that no directory names, such as "pipe:[12]" or "anon_inode:[eventfd]".
Result<Path> make_anonymous_path(std::string_view name, RefPtr<Inode> inode);
// An inode of no visible file system, for such files: `mode` with the S_IF* type.
Result<RefPtr<Inode>> make_anonymous_inode(uint32_t mode);

// stat(2)'s answer from an inode.
void fill_stat(const Inode& inode, struct ::stat& to);

}  // namespace coracle
