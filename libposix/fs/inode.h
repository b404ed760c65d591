// An inode: a file, directory, symbolic link, device node, fifo or socket of one file system, and
// the operations that a file system fills in. The system calls check permissions (permission.h)
// and read-only mounts before they call; the file system checks what it alone can know.
//
// Names are single components of 1 to 255 bytes, never "." or "..".
// Locks: none while there is one CPU (libposix/fs/path.h).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "kernel-min/memory/frames.h"
#include "libposix/files/io_buffer.h"
#include "libposix/fs/path.h"

namespace coracle {

class File;
class Inode;
class InodeWatch;
class Pipe;

// A mounted file system: Linux's super block.
class FileSystem : public RefCounted<FileSystem> {
  public:
    virtual ~FileSystem() = default;
    // As /proc/filesystems and /proc/self/mounts show them.
    virtual const char* type_name() const = 0;
    virtual const char* options() const { return ""; }
    // statfs(2); f_type, f_bsize, f_namelen and what is known of the counts. The caller adds the
    // mount's flags.
    struct Statistics {
        uint64_t type = 0, block_size = kPageSize;
        uint64_t blocks = 0, free_blocks = 0, files = 0, free_files = 0;
    };
    virtual Statistics statistics() const = 0;
    virtual Result<void> sync() { return {}; }

    uint64_t device = 0;  // st_dev, in makedev(3)'s encoding
    bool read_only = false;
};

// A new device number for a file system without a device: major 0.
uint64_t allocate_anonymous_device();

// What a symbolic link holds: text, or a place to jump to (/proc/self/fd/N).
struct LinkTarget {
    std::string_view text;  // valid as long as this object and the inode
    Path jump;
    std::unique_ptr<char[]> storage;  // holds `text` where the inode does not
};

// What to create. `link_target` is for symbolic links alone.
struct NewInode {
    uint32_t mode = 0;
    uint32_t uid = 0, gid = 0;
    uint64_t device = 0;
    std::string_view link_target = {};
};

// Changes by chmod, chown and utimensat; ctime changes with each.
struct AttributeChange {
    static constexpr uint32_t kMode = 1, kUid = 2, kGid = 4, kAccessTime = 8, kModifyTime = 16;
    uint32_t valid = 0;
    uint32_t mode = 0, uid = 0, gid = 0;
    timespec access_time = {}, modify_time = {};
};

// Receives directory entries. Returns false when it has no room: the entry was not taken.
class DirectoryVisitor {
  public:
    // `next`: the position after this entry (d_off). `type`: DT_*.
    virtual bool visit(std::string_view name, uint64_t inode, uint8_t type, uint64_t next) = 0;

  protected:
    ~DirectoryVisitor() = default;
};

class Inode : public RefCounted<Inode> {
  public:
    explicit Inode(FileSystem& owner) : file_system_(&owner) {}
    virtual ~Inode();

    FileSystem& file_system() const { return *file_system_; }
    bool is_directory() const { return (mode & S_IFMT) == S_IFDIR; }
    bool is_regular() const { return (mode & S_IFMT) == S_IFREG; }
    bool is_symlink() const { return (mode & S_IFMT) == S_IFLNK; }
    bool is_fifo() const { return (mode & S_IFMT) == S_IFIFO; }

    uint64_t number = 0;
    uint32_t mode = 0;  // type and permissions
    uint32_t link_count = 1;
    uint32_t uid = 0, gid = 0;
    uint64_t device = 0;  // st_rdev
    timespec access_time = {}, modify_time = {}, change_time = {}, birth_time = {};

    virtual uint64_t size() const { return 0; }
    virtual uint64_t blocks() const { return 0; }  // of 512 bytes
    virtual uint32_t block_size() const { return kPageSize; }
    // Brings the attributes above up to date, for inodes whose state lies elsewhere (procfs).
    virtual Result<void> refresh() { return {}; }

    // Regular files. Reads stop at the end of file; writes extend it. Times are the caller's.
    virtual Result<size_t> read(IoBuffer& to, uint64_t offset);     // EINVAL
    virtual Result<size_t> write(IoBuffer& from, uint64_t offset);  // EINVAL; ENOSPC
    virtual Result<void> truncate(uint64_t size);                   // EINVAL
    virtual Result<void> allocate(int mode, uint64_t offset, uint64_t length);  // EOPNOTSUPP
    // SEEK_DATA and SEEK_HOLE: ENXIO beyond the end.
    virtual Result<uint64_t> seek_data(uint64_t offset, bool hole);
    // As MemoryObject::page.
    virtual Result<PhysAddr> page(uint64_t index, bool for_write);  // ENODEV
    // As MemoryObject::cached_page.
    virtual PhysAddr cached_page(uint64_t) { return 0; }
    // Whether page() works.
    virtual bool is_mappable() const { return false; }
    virtual Result<void> sync() { return {}; }
    // F_GET_SEALS, F_ADD_SEALS of memfd_create(2); EINVAL where there are none.
    virtual Result<uint32_t> seals() const { return Error(EINVAL); }
    virtual Result<void> add_seals(uint32_t) { return Error(EINVAL); }

    // Directories.
    virtual Result<RefPtr<Inode>> lookup(std::string_view name);  // ENOENT
    virtual Result<RefPtr<Inode>> create(std::string_view name, const NewInode& what);  // EPERM
    virtual Result<RefPtr<Inode>> create_unnamed(const NewInode& what);  // EOPNOTSUPP: O_TMPFILE
    virtual Result<void> link(std::string_view name, Inode& target);     // EPERM
    virtual Result<void> unlink(std::string_view name, Inode& target);   // EPERM
    virtual Result<void> remove_directory(std::string_view name, Inode& target);  // EPERM
    // Moves `target` to `new_name` of `new_directory`, in place of `replaced` if that is not null
    // (with RENAME_EXCHANGE: swaps the two). All four are in this file system.
    virtual Result<void> rename(std::string_view name, Inode& target, Inode& new_directory,
                                std::string_view new_name, Inode* replaced, uint32_t flags);
    // Entries from `position` on, without "." and ".."; positions begin at 2.
    virtual Result<void> list(uint64_t position, DirectoryVisitor& visitor);
    // Whether names found here may stay in the dentry cache.
    virtual bool is_cacheable() const { return true; }

    virtual Result<LinkTarget> read_link();  // EINVAL

    virtual Result<void> change_attributes(const AttributeChange& change);

    // Extended attributes: full names ("security.capability"). `get` and `list` return the size;
    // with an empty buffer nothing else. ENODATA, ERANGE, EOPNOTSUPP, EEXIST.
    virtual Result<size_t> get_xattr(std::string_view name, void* value, size_t size);
    virtual Result<void> set_xattr(std::string_view name, const void* value, size_t size,
                                   int flags);
    virtual Result<size_t> list_xattrs(char* names, size_t size);
    virtual Result<void> remove_xattr(std::string_view name);

    // The open file description behind open(2); `flags` are open's without O_CREAT and the like.
    // The default knows regular files, directories, fifos and registered devices (ENXIO).
    virtual Result<RefPtr<File>> open(const Path& path, uint32_t flags);
    // Instead of open(), for inodes without a name that /proc/self/fd leads to.
    using Reopen = Result<RefPtr<File>> (*)(const Path& path, const RefPtr<Inode>& inode,
                                            uint32_t flags);
    Reopen reopen = nullptr;

    // The pipe behind a fifo while someone has it open.
    Pipe* fifo = nullptr;
    // Lock state of fcntl(2) and flock(2), made at the first lock (libposix/files/file_lock.h).
    struct FileLocks* locks = nullptr;
    InodeWatch* first_watch = nullptr;  // libposix/fs/notify.h
    // Writers and executors hold each other off: ETXTBSY.
    int32_t write_count = 0;
    // Memory objects that show this file's pages (libposix/memory/file_pages.h).
    uint32_t mapping_count = 0;
    // Made by O_TMPFILE without O_EXCL: linkat(2) may give it its first name.
    bool may_be_named = false;

  private:
    RefPtr<FileSystem> file_system_;
};

// The time for inode timestamps.
timespec current_time();

}  // namespace coracle
