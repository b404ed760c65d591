#include "libposix/files/file_lock.h"

#include <sys/file.h>

#include <algorithm>
#include <memory>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/process/process.h"

namespace coracle {

// The locks of one inode. Made with its first lock, gone with the inode.
struct FileLocks {
    struct Lock {
        uint64_t start, end;  // bytes start..end, the end included
        int type;             // F_RDLCK or F_WRLCK
        const void* owner;    // a File for OFD locks and flock, a Process for POSIX locks
        int32_t pid;          // what F_GETLK answers; -1 for OFD locks
        std::unique_ptr<Lock> next;
    };
    std::unique_ptr<Lock> ranges;  // fcntl's
    std::unique_ptr<Lock> whole;   // flock's
    WaitQueue released;
};

namespace {

using Lock = FileLocks::Lock;

Result<FileLocks*> locks_of(Inode& inode) {
    if (!inode.locks) inode.locks = TRY(make_unique_object<FileLocks>()).release();
    return inode.locks;
}

struct Request {
    uint64_t start, end;
    int type;
    const void* owner;
    int32_t pid;
};

Result<Request> make_request(File& file, const struct flock& lock, bool is_ofd) {
    int64_t base = 0;
    if (lock.l_whence == SEEK_CUR) {
        base = static_cast<int64_t>(file.position);
    } else if (lock.l_whence == SEEK_END) {
        base = static_cast<int64_t>(file.inode().size());
    } else if (lock.l_whence != SEEK_SET) {
        return Error(EINVAL);
    }
    int64_t start, end;
    if (__builtin_add_overflow(base, lock.l_start, &start)) return Error(EOVERFLOW);
    if (start < 0) return Error(EINVAL);
    if (lock.l_len > 0) {
        if (__builtin_add_overflow(start, lock.l_len - 1, &end)) return Error(EOVERFLOW);
    } else if (lock.l_len < 0) {
        end = start - 1;
        start += lock.l_len;
        if (start < 0) return Error(EINVAL);
    } else {
        end = INT64_MAX;
    }
    if (is_ofd && lock.l_pid != 0) return Error(EINVAL);
    Process& process = *current_process();
    return Request{static_cast<uint64_t>(start), static_cast<uint64_t>(end), lock.l_type,
                   is_ofd ? static_cast<const void*>(&file) : &process,
                   is_ofd ? -1 : static_cast<int32_t>(process.pid)};
}

const Lock* find_conflict(const std::unique_ptr<Lock>& list, const Request& request) {
    for (const Lock* lock = list.get(); lock; lock = lock->next.get()) {
        bool overlaps = lock->start <= request.end && request.start <= lock->end;
        bool excludes = lock->type == F_WRLCK || request.type == F_WRLCK;
        if (overlaps && excludes && lock->owner != request.owner) return lock;
    }
    return nullptr;
}

// Takes the request's range out of what its owner holds, splitting where need be. `spare` is
// there for the one split that can happen.
void remove_range(std::unique_ptr<Lock>& list, const Request& request,
                  std::unique_ptr<Lock>& spare) {
    for (std::unique_ptr<Lock>* link = &list; *link;) {
        Lock& lock = **link;
        if (lock.owner != request.owner || lock.end < request.start || request.end < lock.start) {
            link = &lock.next;
            continue;
        }
        bool keeps_left = lock.start < request.start, keeps_right = lock.end > request.end;
        if (keeps_left && keeps_right) {
            *spare = Lock{request.end + 1, lock.end, lock.type, lock.owner, lock.pid,
                          std::move(lock.next)};
            lock.end = request.start - 1;
            lock.next = std::move(spare);
            return;
        }
        if (keeps_left) {
            lock.end = request.start - 1;
        } else if (keeps_right) {
            lock.start = request.end + 1;
        } else {
            *link = std::move(lock.next);
            continue;
        }
        link = &lock.next;
    }
}

// Joins the owner's new lock with its neighbours of the same type, as F_GETLK shows them.
void insert(std::unique_ptr<Lock>& list, std::unique_ptr<Lock> added) {
    for (std::unique_ptr<Lock>* link = &list; *link;) {
        Lock& lock = **link;
        bool touches = lock.start <= added->end + 1 && added->start <= lock.end + 1;
        if (lock.owner != added->owner || lock.type != added->type || !touches) {
            link = &lock.next;
            continue;
        }
        added->start = std::min(added->start, lock.start);
        added->end = std::max(added->end, lock.end);
        *link = std::move(lock.next);
    }
    std::unique_ptr<Lock>* place = &list;
    while (*place && (*place)->start <= added->start) place = &(*place)->next;
    added->next = std::move(*place);
    *place = std::move(added);
}

Result<void> apply(FileLocks& locks, std::unique_ptr<Lock>& list, const Request& request,
                   bool wait) {
    auto added = TRY(make_unique_object<Lock>());
    auto spare = TRY(make_unique_object<Lock>());
    if (request.type != F_UNLCK && find_conflict(list, request)) {
        if (!wait) return Error(EAGAIN);
        TRY(wait_until(locks.released, Deadline::never(),
                       [&] { return find_conflict(list, request) == nullptr; }));
    }
    remove_range(list, request, spare);
    if (request.type != F_UNLCK) {
        *added =
            Lock{request.start, request.end, request.type, request.owner, request.pid, nullptr};
        insert(list, std::move(added));
    }
    locks.released.wake_all();
    return {};
}

void release_all(FileLocks& locks, std::unique_ptr<Lock>& list, const void* owner) {
    std::unique_ptr<Lock> no_split;
    remove_range(list, Request{0, UINT64_MAX, F_UNLCK, owner, 0}, no_split);
    locks.released.wake_all();
}

}  // namespace

Inode::~Inode() { delete locks; }

Result<void> get_file_lock(File& file, struct flock& lock, bool is_ofd) {
    if (lock.l_type != F_RDLCK && lock.l_type != F_WRLCK) return Error(EINVAL);
    Request request = TRY(make_request(file, lock, is_ofd));
    const FileLocks* locks = file.inode().locks;
    const Lock* conflict = locks ? find_conflict(locks->ranges, request) : nullptr;
    if (!conflict) {
        lock.l_type = F_UNLCK;
        return {};
    }
    lock.l_type = static_cast<short>(conflict->type);
    lock.l_whence = SEEK_SET;
    lock.l_start = static_cast<int64_t>(conflict->start);
    bool to_end = conflict->end == INT64_MAX;
    lock.l_len = to_end ? 0 : static_cast<int64_t>(conflict->end - conflict->start + 1);
    lock.l_pid = conflict->pid;
    return {};
}

Result<void> set_file_lock(File& file, const struct flock& lock, bool is_ofd, bool wait) {
    Request request = TRY(make_request(file, lock, is_ofd));
    switch (lock.l_type) {
        case F_RDLCK:
            if (!file.is_readable()) return Error(EBADF);
            break;
        case F_WRLCK:
            if (!file.is_writable()) return Error(EBADF);
            break;
        case F_UNLCK:
            break;
        default:
            return Error(EINVAL);
    }
    FileLocks& locks = *TRY(locks_of(file.inode()));
    return apply(locks, locks.ranges, request, wait);
}

Result<void> set_flock(File& file, int operation) {
    if (operation & LOCK_MAND) return {};  // Linux has dropped these: nothing happens
    Request request = {0, INT64_MAX, F_UNLCK, &file, 0};
    switch (operation & ~LOCK_NB) {
        case LOCK_SH:
            request.type = F_RDLCK;
            break;
        case LOCK_EX:
            request.type = F_WRLCK;
            break;
        case LOCK_UN:
            break;
        default:
            return Error(EINVAL);
    }
    FileLocks& locks = *TRY(locks_of(file.inode()));
    return apply(locks, locks.whole, request, !(operation & LOCK_NB));
}

void release_posix_locks(File& file, Process& process) {
    if (FileLocks* locks = file.inode().locks) release_all(*locks, locks->ranges, &process);
}

void release_file_locks(File& file) {
    FileLocks* locks = file.inode().locks;
    if (!locks) return;
    release_all(*locks, locks->ranges, &file);
    release_all(*locks, locks->whole, &file);
}

}  // namespace coracle
