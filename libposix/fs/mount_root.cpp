#include "kernel-min/memory/heap.h"
#include "libposix/fs/dentry_cache.h"
#include "libposix/fs/dev_tree.h"
#include "libposix/fs/erofs_image.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/path_walk.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/fs/sys/sysfs.h"
#include "libposix/fs/tmpfs.h"

namespace coracle {
namespace {

Path root;
const Credentials kKernelCredentials;

uint64_t default_tmpfs_pages() { return frame_statistics().total / 2; }

Result<RefPtr<TmpfsFileSystem>> make_tmpfs(const char* type_name, const char* options) {
    return make_ref<TmpfsFileSystem>(default_tmpfs_pages(), type_name, options);
}

Result<void> set_image(TmpfsFileSystem& file_system, PhysAddr start, size_t size) {
    const auto* memory = phys_to_virt<const std::byte>(start);
    ErofsImage image = TRY(ErofsImage::open({memory, size}));
    file_system.set_origin(image, memory, start % kPageSize == 0 ? start : 0);
    return {};
}

// Makes the directory if the image has none.
Result<Path> make_directory(std::string_view name, uint32_t mode) {
    WalkContext context = {root, root, kKernelCredentials};
    Result<Path> found = PathWalker(context, kFollowLast | kLastIsDirectory).resolve(name);
    if (found.ok() || found.error_code() != ENOENT) return found;
    PathWalker walker(context, 0);
    TRY(walker.walk_to_last(name));
    const Path& parent = walker.directory();
    RefPtr<Inode> inode =
        TRY(parent.inode().create(walker.last_name(), NewInode{.mode = S_IFDIR | mode}));
    RefPtr<Dentry> dentry = TRY(DentryCache::add(parent.dentry, walker.last_name(), inode));
    return Path{parent.mount, std::move(dentry)};
}

Result<void> mount_at(std::string_view name, RefPtr<Inode> root_inode, uint64_t flags) {
    Path point = TRY(make_directory(name, 0755));
    RefPtr<FileSystem> file_system(&root_inode->file_system());
    RefPtr<Dentry> top = TRY(Dentry::create(nullptr, "/", std::move(root_inode)));
    TRY(Mount::attach(point, std::move(file_system), std::move(top), flags));
    return {};
}

Result<void> mount_tmpfs(std::string_view name, uint32_t mode, uint64_t flags) {
    RefPtr<TmpfsFileSystem> file_system = TRY(make_tmpfs("tmpfs", ""));
    RefPtr<Inode> top = TRY(file_system->make_root(mode));
    return mount_at(name, std::move(top), flags);
}

Result<void> mount_dev() {
    RefPtr<TmpfsFileSystem> file_system = TRY(make_tmpfs("devtmpfs", ",mode=755"));
    RefPtr<Inode> top = TRY(file_system->make_root(0755));
    TRY(fill_dev(*top));
    TRY(mount_at("/dev", std::move(top), Mount::kNoSuid));
    return mount_tmpfs("/dev/shm", S_ISVTX | 0777, Mount::kNoSuid | Mount::kNoDev);
}

}  // namespace

const Path& root_path() { return root; }

Result<void> mount_read_only(std::string_view path) {
    WalkContext context = {root, root, kKernelCredentials};
    Path place = TRY(PathWalker(context, kFollowLast).resolve(path));
    RefPtr<FileSystem> file_system(&place.inode().file_system());
    TRY(Mount::attach(place, std::move(file_system), place.dentry,
                      place.mount->flags() | Mount::kReadOnly));
    return {};
}

Result<void> mount_root(PhysAddr module_start, size_t module_size) {
    RefPtr<TmpfsFileSystem> file_system = TRY(make_tmpfs("tmpfs", ",mode=755"));
    Result<void> image_set;
    if (module_size != 0) image_set = set_image(*file_system, module_start, module_size);
    RefPtr<Inode> top = TRY(file_system->make_root(0755));
    RefPtr<Dentry> dentry = TRY(Dentry::create(nullptr, "/", std::move(top)));
    root.mount = TRY(Mount::attach(Path{}, std::move(file_system), dentry, 0));
    root.dentry = dentry;

    TRY(register_memory_devices());
    TRY(mount_dev());
    constexpr uint64_t kRestricted = Mount::kNoSuid | Mount::kNoDev | Mount::kNoExec;
    TRY(mount_at("/proc", TRY(make_procfs()), kRestricted));
    TRY(mount_at("/sys", TRY(make_sysfs()), kRestricted));
    TRY(make_directory("/tmp", S_ISVTX | 0777));
    return image_set;
}

}  // namespace coracle
