#include <cstring>
#include <new>

#include "libposix/fs/inode.h"
#include "libposix/fs/path.h"

namespace coracle {

using MountHooks =
    boost::intrusive::list<Mount, boost::intrusive::member_hook<Mount, Mount::Hook, &Mount::hook_>,
                           boost::intrusive::constant_time_size<false>>;

namespace {
MountHooks mounts;  // holds a reference to each
uint32_t last_id = 20;
}  // namespace

Mount::~Mount() = default;

Result<RefPtr<Mount>> Mount::attach(const Path& point, RefPtr<FileSystem> file_system,
                                    RefPtr<Dentry> root, uint64_t flags) {
    Mount* mount = new (std::nothrow) Mount;
    if (!mount) return Error(ENOMEM);
    RefPtr<Mount> result = adopt_ref(mount);
    mount->file_system_ = std::move(file_system);
    mount->root_ = std::move(root);
    mount->point_ = point;
    mount->flags_ = flags;
    mount->id_ = ++last_id;
    if (point) point.dentry->mount_count_++;
    mount->ref();
    mounts.push_back(*mount);
    return result;
}

Mount* Mount::find(const Mount& parent, const Dentry& point) {
    Mount* newest = nullptr;
    for (Mount& mount : mounts) {
        if (mount.point_.mount.get() == &parent && mount.point_.dentry.get() == &point) {
            newest = &mount;
        }
    }
    return newest;
}

Result<void> Mount::detach() {
    for (Mount& other : mounts) {
        if (other.point_.mount.get() == this) return Error(EBUSY);
    }
    if (point_) point_.dentry->mount_count_--;
    mounts.erase(mounts.iterator_to(*this));
    unref();
    return {};
}

bool Mount::is_read_only() const { return (flags_ & kReadOnly) || file_system_->read_only; }

Mount* Mount::first() { return mounts.empty() ? nullptr : &mounts.front(); }

Mount* Mount::next() {
    auto after = ++mounts.iterator_to(*this);
    return after == mounts.end() ? nullptr : &*after;
}

Result<size_t> format_path(const Path& path, const Path& root, char* buffer, size_t size) {
    // Components are laid from the end of the buffer backwards, then moved to its start.
    size_t start = size;
    auto prepend = [&](std::string_view text) {
        if (text.size() > start) return false;
        start -= text.size();
        memcpy(buffer + start, text.data(), text.size());
        return true;
    };
    if (!prepend(std::string_view("\0", 1))) return Error(ENAMETOOLONG);
    if (path.dentry->is_deleted() && !prepend(" (deleted)")) return Error(ENAMETOOLONG);

    const Mount* mount = path.mount.get();
    const Dentry* dentry = path.dentry.get();
    bool any = false;
    while (mount != root.mount.get() || dentry != root.dentry.get()) {
        if (mount && dentry == mount->root().get()) {
            if (!mount->point()) {
                if (!any && !prepend("/")) return Error(ENAMETOOLONG);
                if (!prepend("(unreachable)")) return Error(ENAMETOOLONG);
                any = true;
                break;
            }
            dentry = mount->point().dentry.get();
            mount = mount->point().mount.get();
            continue;
        }
        if (!dentry->parent()) {  // no directory has it: pipe:[12]
            if (!prepend(dentry->name())) return Error(ENAMETOOLONG);
            any = true;
            break;
        }
        if (!prepend(dentry->name()) || !prepend("/")) return Error(ENAMETOOLONG);
        any = true;
        dentry = dentry->parent();
    }
    if (!any && !prepend("/")) return Error(ENAMETOOLONG);
    memmove(buffer, buffer + start, size - start);
    return size - start - 1;
}

}  // namespace coracle
