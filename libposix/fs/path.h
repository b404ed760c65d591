// Dentries, mounts and paths. A dentry is a name in a directory; a mount shows a file system's
// tree at a dentry of another; a Path, both together, is a place in the whole tree.
//
// Ownership: a dentry holds its parent and its inode; the cache holds one reference to each
// hashed dentry, oldest first out. A mount holds its root, its parent mount and its mount point.
// Locks: none while there is one CPU. Nothing here sleeps between a test and the change that
// relies on it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"

namespace coracle {

class FileSystem;
class Inode;
class Mount;

class Dentry : public RefCounted<Dentry> {
  public:
    // A root or a name that no directory has (pipe:[4]); never in the cache. ENOMEM.
    static Result<RefPtr<Dentry>> create(RefPtr<Dentry> parent, std::string_view name,
                                         RefPtr<Inode> inode);
    ~Dentry();

    Inode& inode() const { return *inode_; }
    const RefPtr<Inode>& inode_ref() const { return inode_; }
    // Null for the root of a file system.
    Dentry* parent() const { return parent_.get(); }
    std::string_view name() const { return {name_, name_length_}; }
    bool is_deleted() const { return deleted_; }
    // For files that never had a name: memfd_create(2), O_TMPFILE.
    void mark_deleted() { deleted_ = true; }
    bool is_mount_point() const { return mount_count_ != 0; }

    using AgeHook = boost::intrusive::list_member_hook<>;
    AgeHook age_hook_;  // the dentry cache's

  private:
    friend class DentryCache;
    friend class Mount;
    Dentry() = default;
    Result<void> set_name(std::string_view name);

    Dentry* hash_next_ = nullptr;
    uint32_t hash_ = 0;
    bool hashed_ = false;
    bool used_ = false;  // found since the cache last looked for something to drop
    bool deleted_ = false;  // its name was removed; paths to it end in " (deleted)"
    uint16_t mount_count_ = 0;
    uint16_t name_length_ = 0;
    RefPtr<Dentry> parent_;
    RefPtr<Inode> inode_;
    char* name_ = inline_name_;
    char inline_name_[40];
};

struct Path {
    RefPtr<Mount> mount;  // null for a pipe, a socket and the like
    RefPtr<Dentry> dentry;

    explicit operator bool() const { return static_cast<bool>(dentry); }
    bool operator==(const Path&) const = default;
    Inode& inode() const { return dentry->inode(); }
};

// A mount; `flags` are MS_* of mount(2).
class Mount : public RefCounted<Mount> {
  public:
    // `point` is empty for the root of the whole tree. ENOMEM.
    static Result<RefPtr<Mount>> attach(const Path& point, RefPtr<FileSystem> file_system,
                                        RefPtr<Dentry> root, uint64_t flags);
    // What is mounted on the dentry, the newest; null if nothing is.
    static Mount* find(const Mount& parent, const Dentry& point);
    // Takes it out of the tree. EBUSY if another mount is on it.
    Result<void> detach();

    FileSystem& file_system() const { return *file_system_; }
    const RefPtr<Dentry>& root() const { return root_; }
    // The place it covers; empty for the root mount.
    const Path& point() const { return point_; }
    uint64_t flags() const { return flags_; }
    bool is_read_only() const;
    uint32_t id() const { return id_; }
    // All mounts, oldest first, for /proc/self/mounts.
    static Mount* first();
    Mount* next();
    ~Mount();

    // Bits of flags(): MS_* of mount(2).
    static constexpr uint64_t kReadOnly = 1, kNoSuid = 2, kNoDev = 4, kNoExec = 8;

    using Hook = boost::intrusive::list_member_hook<>;
    Hook hook_;  // the list of mounts

  private:
    Mount() = default;
    RefPtr<FileSystem> file_system_;
    RefPtr<Dentry> root_;
    Path point_;
    uint64_t flags_ = 0;
    uint32_t id_ = 0;
};

// Writes the absolute path as seen from `root` with a NUL, and returns its length without the
// NUL. A deleted name ends in " (deleted)" (getcwd(2) answers ENOENT for those itself). A place
// that `root` does not reach begins with "(unreachable)". Errors: ENAMETOOLONG.
Result<size_t> format_path(const Path& path, const Path& root, char* buffer, size_t size);

}  // namespace coracle
