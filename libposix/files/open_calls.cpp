// open, openat, openat2, creat, close, close_range, memfd_create.
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/files/inode_file.h"
#include "libposix/files/open_file.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/tmpfs.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint32_t kTmpfile = O_TMPFILE & ~O_DIRECTORY;
// All that open(2) knows; it ignores the rest, openat2(2) does not.
constexpr uint32_t kKnownFlags = O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND |
                                 O_NONBLOCK | O_SYNC | O_DSYNC | O_ASYNC | O_DIRECT |
                                 kOpenLargeFile | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |
                                 O_CLOEXEC | O_PATH | kTmpfile;

Result<long> open_at(int dirfd, UserIn<char> path, OpenHow how) {
    TRY(validate_open(how));
    PathArgument argument;
    TRY(argument.read(path, dirfd));
    uint32_t flags = how.flags;
    if (flags & O_PATH) return install_descriptor(
        TRY(open_file(argument.context(), argument.name(), how)), flags);
    how.flags |= kOpenLargeFile;
    return install_descriptor(TRY(open_file(argument.context(), argument.name(), how)), flags);
}

Result<uint32_t> walk_flags_of_resolve(uint64_t resolve) {
    constexpr struct {
        uint64_t resolve;
        uint32_t walk;
    } kTable[] = {{RESOLVE_NO_XDEV, kNoCrossDevice}, {RESOLVE_NO_MAGICLINKS, kNoMagicLinks},
                  {RESOLVE_NO_SYMLINKS, kNoSymlinks}, {RESOLVE_BENEATH, kBeneath},
                  {RESOLVE_IN_ROOT, kInRoot},         {RESOLVE_CACHED, kCachedOnly}};
    uint32_t flags = 0;
    for (const auto& row : kTable) {
        if (resolve & row.resolve) flags |= row.walk;
        resolve &= ~row.resolve;
    }
    if (resolve != 0) return Error(EINVAL);
    if ((flags & (kBeneath | kInRoot)) == (kBeneath | kInRoot)) return Error(EINVAL);
    return flags;
}

}  // namespace

Result<long> sys_openat(int dirfd, UserIn<char> path, int flags, unsigned mode) {
    return open_at(dirfd, path,
                   {.flags = static_cast<uint32_t>(flags) & kKnownFlags, .mode = mode});
}

Result<long> sys_open(UserIn<char> path, int flags, unsigned mode) {
    return sys_openat(AT_FDCWD, path, flags, mode);
}

Result<long> sys_creat(UserIn<char> path, unsigned mode) {
    return sys_openat(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

Result<long> sys_openat2(int dirfd, UserIn<char> path, UserIn<open_how> how_pointer, size_t size) {
    struct open_how how = {};
    if (size < sizeof(how)) return Error(EINVAL);
    if (size > kPageSize) return Error(E2BIG);
    if (!copy_from_user(&how, how_pointer.address(), sizeof(how))) return Error(EFAULT);
    // A longer structure must not ask for anything that is not known here.
    for (size_t offset = sizeof(how); offset < size; offset++) {
        if (TRY(UserIn<char>(how_pointer.address() + offset).read()) != 0) return Error(E2BIG);
    }
    if (how.flags & ~uint64_t{kKnownFlags}) return Error(EINVAL);
    if (how.mode & ~uint64_t{07777}) return Error(EINVAL);
    auto flags = static_cast<uint32_t>(how.flags);
    bool creates = flags & (O_CREAT | kTmpfile);
    if (!creates && how.mode != 0) return Error(EINVAL);
    constexpr uint32_t kPathFlags = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
    if ((flags & O_PATH) && (flags & ~kPathFlags)) return Error(EINVAL);
    uint32_t walk_flags = TRY(walk_flags_of_resolve(how.resolve));
    if ((walk_flags & kCachedOnly) && (flags & (O_TRUNC | O_CREAT | kTmpfile))) {
        return Error(EAGAIN);
    }
    return open_at(dirfd, path, {flags, static_cast<uint32_t>(how.mode), walk_flags});
}

Result<long> sys_close(int fd) {
    Process& process = *current_process();
    RefPtr<File> file = TRY(process.descriptors->remove(fd));
    file->descriptor_closed(process);
    return 0;
}

Result<long> sys_close_range(unsigned first, unsigned last, unsigned flags) {
    if (flags & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) return Error(EINVAL);
    if (first > last) return Error(EINVAL);
    Process& process = *current_process();
    if ((flags & CLOSE_RANGE_UNSHARE) && process.descriptors->reference_count() > 1) {
        process.descriptors = TRY(process.descriptors->clone());
    }
    DescriptorTable& table = *process.descriptors;
    if (first > INT32_MAX) return 0;
    for (int fd = table.next_open(static_cast<int>(first));
         fd >= 0 && static_cast<unsigned>(fd) <= last; fd = table.next_open(fd + 1)) {
        if (flags & CLOSE_RANGE_CLOEXEC) {
            table.set_close_on_exec(fd, true);
        } else {
            (void)sys_close(fd);
        }
    }
    return 0;
}

Result<long> sys_memfd_create(UserIn<char> name, unsigned flags) {
    constexpr unsigned kHugeSizeShift = 26;
    constexpr unsigned kKnown = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (flags & MFD_HUGETLB) {
        constexpr unsigned kHuge = MFD_HUGETLB | (0x3fu << kHugeSizeShift);
        if (flags & ~(kKnown | kHuge)) return Error(EINVAL);
        return Error(ENOMEM);  // no pages are set aside for hugetlbfs
    }
    if (flags & ~kKnown) return Error(EINVAL);
    constexpr std::string_view kPrefix = "/memfd:";
    // Linux counts the prefix without its slash.
    constexpr size_t kRoom = kMaxName - (kPrefix.size() - 1) + 1;  // for the rest and its NUL
    char text[kPrefix.size() + kRoom];
    memcpy(text, kPrefix.data(), kPrefix.size());
    std::string_view given = TRY(read_string(name, text + kPrefix.size(), kRoom, EINVAL));
    RefPtr<TmpfsFileSystem> file_system = TRY(shared_memory_file_system());
    const Credentials& who = current_credentials();
    NewInode what = {.mode = S_IFREG | 0777, .uid = who.fsuid, .gid = who.fsgid};
    RefPtr<Inode> inode = TRY(file_system->make_inode(what));
    inode->link_count = 0;
    static_cast<TmpfsFile&>(*inode).enable_seals(flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL);
    Path path = TRY(make_anonymous_path({text, kPrefix.size() + given.size()}, inode));
    path.dentry->mark_deleted();
    RefPtr<File> file =
        TRY(RegularFile::open(path, inode, O_RDWR | kOpenLargeFile));
    return install_descriptor(std::move(file), flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
}

}  // namespace coracle
