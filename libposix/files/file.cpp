#include "libposix/files/file.h"

#include <sys/inotify.h>
#include <sys/ioctl.h>

#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/files/events/epoll.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/notify.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

// The home of inodes that no directory shows: pipes, event descriptors.
class AnonymousFileSystem final : public FileSystem {
  public:
    AnonymousFileSystem() { device = allocate_anonymous_device(); }
    const char* type_name() const override { return "anon_inodefs"; }
    Statistics statistics() const override {
        return {.type = 0x09041934, .block_size = kPageSize};  // ANON_INODE_FS_MAGIC
    }
};

}  // namespace

File::File(Path path, RefPtr<Inode> inode, uint32_t open_flags)
    : flags(open_flags), path_(std::move(path)), inode_(std::move(inode)) {
    uint32_t access = open_flags & O_ACCMODE;
    bool has_data = !(open_flags & O_PATH);
    can_read_ = has_data && (access == O_RDONLY || access == O_RDWR);
    can_write_ = has_data && (access == O_WRONLY || access == O_RDWR);
}

File::~File() {
    if (first_epoll_item) [[unlikely]]
        forget_epoll_items(*this);
    if (!is_path_only()) notify_open_file(path_, can_write_ ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
}

Result<size_t> File::read(IoBuffer&, uint64_t&) { return Error(EINVAL); }
Result<size_t> File::write(IoBuffer&, uint64_t&) { return Error(EINVAL); }
Result<uint64_t> File::seek(int64_t, int) { return Error(ESPIPE); }
Result<long> File::ioctl(uint32_t, uint64_t) { return Error(ENOTTY); }
uint32_t File::poll_events() { return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM; }
Result<RefPtr<MemoryObject>> File::memory_object() { return Error(ENODEV); }
Result<void> File::list(DirectoryVisitor&) { return Error(ENOTDIR); }
Result<void> File::truncate(uint64_t) { return Error(EINVAL); }
Result<void> File::allocate(int, uint64_t, uint64_t) { return Error(ENODEV); }
Result<void> File::sync(bool) { return Error(EINVAL); }

Result<void> File::stat(struct ::stat& to) {
    TRY(inode_->refresh());
    fill_stat(*inode_, to);
    return {};
}

Result<size_t> File::describe(char* buffer, size_t size) {
    const Path& root = current_process() ? current_process()->file_system->root : root_path();
    return format_path(path_, root, buffer, size);
}

Result<RefPtr<Inode>> make_anonymous_inode(uint32_t mode) {
    // The one file system lives as long as the kernel; it is made with its first inode.
    static AnonymousFileSystem* file_system = nullptr;
    static uint64_t last_number = 0;
    if (!file_system) {
        RefPtr<AnonymousFileSystem> made = TRY(make_ref<AnonymousFileSystem>());
        file_system = made.leak_ref();
    }
    RefPtr<Inode> inode = TRY(make_ref<Inode>(*file_system));
    inode->number = ++last_number;
    inode->mode = mode;
    if (current_process()) {
        inode->uid = current_credentials().fsuid;
        inode->gid = current_credentials().fsgid;
    }
    timespec now = current_time();
    inode->access_time = inode->modify_time = inode->change_time = inode->birth_time = now;
    return inode;
}

Result<Path> make_anonymous_path(std::string_view name, RefPtr<Inode> inode) {
    RefPtr<Dentry> dentry = TRY(Dentry::create(nullptr, name, std::move(inode)));
    return Path{nullptr, std::move(dentry)};
}

void fill_stat(const Inode& inode, struct ::stat& to) {
    memset(&to, 0, sizeof(to));
    to.st_dev = inode.file_system().device;
    to.st_ino = inode.number;
    to.st_nlink = inode.link_count;
    to.st_mode = inode.mode;
    to.st_uid = inode.uid;
    to.st_gid = inode.gid;
    to.st_rdev = inode.device;
    to.st_size = static_cast<int64_t>(inode.size());
    to.st_blksize = inode.block_size();
    to.st_blocks = static_cast<int64_t>(inode.blocks());
    to.st_atim = inode.access_time;
    to.st_mtim = inode.modify_time;
    to.st_ctim = inode.change_time;
}

}  // namespace coracle
