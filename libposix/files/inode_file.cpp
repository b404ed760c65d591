#include "libposix/files/inode_file.h"

#include <dirent.h>
#include <linux/falloc.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/files/file_lock.h"
#include "libposix/fs/device_node.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/notify.h"
#include "libposix/memory/file_pages.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

bool is_later(const timespec& a, const timespec& b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

// A write by someone without CAP_FSETID takes away set-user-id and set-group-id.
void drop_privilege_bits(Inode& inode) {
    if (!(inode.mode & (S_ISUID | S_ISGID))) return;
    if (current_credentials().has_capability(kCapFsetid)) return;
    inode.mode &= ~S_ISUID;
    if (inode.mode & S_IXGRP) inode.mode &= ~S_ISGID;
}

}  // namespace

// What mmap(2) maps: one for each open file description, as /proc/self/maps shows its path.
class FileMapping final : public MemoryObject {
  public:
    explicit FileMapping(RegularFile& file) : file_(&file) {
        file.mapping_ = this;
        file.inode().mapping_count++;
    }
    ~FileMapping() override {
        file_->mapping_ = nullptr;
        file_->inode().mapping_count--;
    }
    const void* identity() const override { return &file_->inode(); }

    Result<PhysAddr> page(uint64_t index, bool for_write) override {
        return file_->inode().page(index, for_write);
    }
    PhysAddr cached_page(uint64_t index) override { return file_->inode().cached_page(index); }
    Result<void> punch_hole(uint64_t offset, uint64_t size) override {
        return file_->allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
    }
    void describe(char* buffer, size_t size, uint32_t* major, uint32_t* minor,
                  uint64_t* inode) override {
        Result<size_t> length = file_->describe(buffer, size);
        buffer[length.ok() ? *length : 0] = '\0';
        *major = device_major(file_->inode().file_system().device);
        *minor = device_minor(file_->inode().file_system().device);
        *inode = file_->inode().number;
    }

  private:
    RefPtr<RegularFile> file_;
};

void touch_access_time(Inode& inode, const Mount* mount) {
    constexpr time_t kDay = 24 * 60 * 60;
    if (mount && mount->is_read_only()) return;
    const timespec& last = inode.access_time;
    if (is_later(last, inode.modify_time) && is_later(last, inode.change_time)) {
        timespec now = current_time();
        if (now.tv_sec - last.tv_sec >= kDay) inode.access_time = now;
        return;
    }
    inode.access_time = current_time();
}

void touch_access_time(File& file) {
    if (!(file.flags & O_NOATIME)) touch_access_time(file.inode(), file.path().mount.get());
}

Result<uint64_t> seek_to(uint64_t position, uint64_t size, int64_t offset, int whence) {
    int64_t base;
    switch (whence) {
        case SEEK_SET:
            base = 0;
            break;
        case SEEK_CUR:
            base = static_cast<int64_t>(position);
            break;
        case SEEK_END:
            base = static_cast<int64_t>(size);
            break;
        default:
            return Error(EINVAL);
    }
    int64_t result;
    if (__builtin_add_overflow(base, offset, &result) || result < 0) return Error(EINVAL);
    return static_cast<uint64_t>(result);
}

Result<RefPtr<File>> RegularFile::open(const Path& path, const RefPtr<Inode>& inode,
                                       uint32_t flags) {
    if ((flags & O_ACCMODE) != O_RDONLY && inode->write_count < 0) return Error(ETXTBSY);
    if (flags & O_DIRECT) return Error(EINVAL);
    return RefPtr<File>(TRY(make_ref<RegularFile>(path, inode, flags)));
}

RegularFile::RegularFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags)
    : File(path, inode, flags) {
    seekable_ = true;
    if (is_writable()) inode->write_count++;
}

RegularFile::~RegularFile() {
    if (is_writable()) inode().write_count--;
    release_file_locks(*this);
}

Result<size_t> RegularFile::read(IoBuffer& to, uint64_t& position) {
    if (position + to.size() > INT64_MAX) return Error(EINVAL);
    size_t done = TRY(inode().read(to, position));
    position += done;
    touch_access_time(*this);
    if (done != 0) notify_open_file(path(), IN_ACCESS);
    return done;
}

Result<size_t> RegularFile::write(IoBuffer& from, uint64_t& position) {
    if (from.is_empty()) return size_t{0};
    if ((flags & O_APPEND) || (from.flags & RWF_APPEND)) position = inode().size();
    if (position + from.size() > INT64_MAX) return Error(EINVAL);
    uint64_t limit = current_process()->limits.soft(Resource::kFileSize);
    if (position >= limit) {
        send_kernel_signal_to_thread(*current_thread(), kSigXfsz);
        return Error(EFBIG);
    }
    from.truncate(limit - position);
    drop_privilege_bits(inode());
    size_t done = TRY(inode().write(from, position));
    position += done;
    inode().modify_time = inode().change_time = current_time();
    if (done != 0) notify_open_file(path(), IN_MODIFY);
    return done;
}

Result<uint64_t> RegularFile::seek(int64_t offset, int whence) {
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        if (offset < 0) return Error(ENXIO);
        position = TRY(inode().seek_data(static_cast<uint64_t>(offset), whence == SEEK_HOLE));
    } else {
        position = TRY(seek_to(position, inode().size(), offset, whence));
    }
    return position;
}

Result<long> RegularFile::ioctl(uint32_t command, uint64_t argument) {
    if (command != FIONREAD) return Error(ENOTTY);
    auto left = static_cast<int32_t>(inode().size() - position);
    if (!copy_to_user(argument, &left, sizeof(left))) return Error(EFAULT);
    return 0;
}

Result<RefPtr<MemoryObject>> RegularFile::memory_object() {
    if (!inode().is_mappable()) return Error(ENODEV);
    touch_access_time(*this);
    if (mapping_) return RefPtr<MemoryObject>(mapping_);
    return RefPtr<MemoryObject>(TRY(make_ref<FileMapping>(*this)));
}

Result<void> RegularFile::truncate(uint64_t size) {
    if (size > current_process()->limits.soft(Resource::kFileSize)) {
        send_kernel_signal_to_thread(*current_thread(), kSigXfsz);
        return Error(EFBIG);
    }
    TRY(inode().truncate(size));
    unmap_truncated_pages(inode(), size);
    drop_privilege_bits(inode());
    inode().modify_time = inode().change_time = current_time();
    notify_open_file(path(), IN_MODIFY);
    return {};
}

Result<void> RegularFile::allocate(int mode, uint64_t offset, uint64_t length) {
    if (mode & FALLOC_FL_PUNCH_HOLE) unmap_hole(inode(), offset, length);
    TRY(inode().allocate(mode, offset, length));
    inode().modify_time = inode().change_time = current_time();
    notify_open_file(path(), IN_MODIFY);
    return {};
}

Result<void> RegularFile::sync(bool) { return inode().sync(); }

Result<void> RegularFile::check_flags(uint32_t new_flags) {
    if (new_flags & O_DIRECT) return Error(EINVAL);
    return {};
}

void RegularFile::descriptor_closed(Process& process) { release_posix_locks(*this, process); }

Result<uint64_t> DirectoryFile::seek(int64_t offset, int whence) {
    if (whence != SEEK_SET && whence != SEEK_CUR) return Error(EINVAL);
    position = TRY(seek_to(position, 0, offset, whence));
    return position;
}

Result<void> DirectoryFile::list(DirectoryVisitor& visitor) {
    if (path().dentry->is_deleted()) return Error(ENOENT);
    touch_access_time(*this);
    notify_open_file(path(), IN_ACCESS);
    uint64_t from = position;
    if (from == 0) {
        if (!visitor.visit(".", inode().number, DT_DIR, 1)) return {};
        from = 1;
    }
    if (from == 1) {
        // The root of a mount shows the parent of the place where it is mounted.
        const Path* place = &path();
        while (place->mount && place->dentry == place->mount->root() && place->mount->point()) {
            place = &place->mount->point();
        }
        const Dentry* parent = place->dentry->parent();
        uint64_t number = parent ? parent->inode().number : place->dentry->inode().number;
        if (!visitor.visit("..", number, DT_DIR, 2)) return {};
        from = 2;
    }
    return inode().list(from, visitor);
}

Result<void> DirectoryFile::check_flags(uint32_t new_flags) {
    if (new_flags & O_DIRECT) return Error(EINVAL);
    return {};
}

void DirectoryFile::descriptor_closed(Process& process) { release_posix_locks(*this, process); }

}  // namespace coracle
