#include "libposix/fs/inode.h"

#include "libposix/fs/path.h"
#include "libposix/time/clock.h"

namespace coracle {

uint64_t allocate_anonymous_device() {
    static uint32_t last_minor = 0;
    return ++last_minor;
}

timespec current_time() { return to_timespec(realtime_ns()); }

Result<size_t> Inode::read(IoBuffer&, uint64_t) { return Error(EINVAL); }
Result<size_t> Inode::write(IoBuffer&, uint64_t) { return Error(EINVAL); }
Result<void> Inode::truncate(uint64_t) { return Error(EINVAL); }
Result<void> Inode::allocate(int, uint64_t, uint64_t) { return Error(EOPNOTSUPP); }
Result<PhysAddr> Inode::page(uint64_t, bool) { return Error(ENODEV); }

Result<uint64_t> Inode::seek_data(uint64_t offset, bool hole) {
    // Without knowledge of holes, all is data and the one hole is at the end.
    if (offset >= size()) return Error(ENXIO);
    return hole ? size() : offset;
}

Result<RefPtr<Inode>> Inode::lookup(std::string_view) { return Error(ENOENT); }
Result<RefPtr<Inode>> Inode::create(std::string_view, const NewInode& what) {
    return Error(S_ISREG(what.mode) ? EACCES : EPERM);
}
Result<RefPtr<Inode>> Inode::create_unnamed(const NewInode&) { return Error(EOPNOTSUPP); }
Result<void> Inode::link(std::string_view, Inode&) { return Error(EPERM); }
Result<void> Inode::unlink(std::string_view, Inode&) { return Error(EPERM); }
Result<void> Inode::remove_directory(std::string_view, Inode&) { return Error(EPERM); }
Result<void> Inode::rename(std::string_view, Inode&, Inode&, std::string_view, Inode*, uint32_t) {
    return Error(EPERM);
}
Result<void> Inode::list(uint64_t, DirectoryVisitor&) { return Error(ENOTDIR); }
Result<LinkTarget> Inode::read_link() { return Error(EINVAL); }

Result<void> Inode::change_attributes(const AttributeChange& change) {
    if (change.valid & AttributeChange::kMode) mode = (mode & S_IFMT) | (change.mode & 07777);
    if (change.valid & AttributeChange::kUid) uid = change.uid;
    if (change.valid & AttributeChange::kGid) gid = change.gid;
    if (change.valid & AttributeChange::kAccessTime) access_time = change.access_time;
    if (change.valid & AttributeChange::kModifyTime) modify_time = change.modify_time;
    change_time = current_time();
    return {};
}

Result<size_t> Inode::get_xattr(std::string_view, void*, size_t) { return Error(EOPNOTSUPP); }
Result<void> Inode::set_xattr(std::string_view, const void*, size_t, int) {
    return Error(EOPNOTSUPP);
}
Result<size_t> Inode::list_xattrs(char*, size_t) { return size_t{0}; }
Result<void> Inode::remove_xattr(std::string_view) { return Error(EOPNOTSUPP); }

}  // namespace coracle
