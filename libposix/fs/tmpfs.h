// tmpfs: files in memory. Its inodes may have an origin in an EROFS image; that is how the root
// file system can be written everywhere and still starts without a copy of anything:
// - a directory asks its origin for names that it does not know; before its first change, and
//   for readdir, it takes all of them in;
// - a file borrows the image's pages where they are, until each is first written.
#pragma once

#include <cstring>
#include <memory>
#include <optional>

#include "libposix/fs/directory_table.h"
#include "libposix/fs/erofs_image.h"
#include "libposix/fs/inode.h"
#include "libposix/fs/page_tree.h"

namespace coracle {

class TmpfsFileSystem;
class TmpfsInode;

// The one that nobody sees, behind memfd_create(2) and shared anonymous memory.
Result<RefPtr<TmpfsFileSystem>> shared_memory_file_system();

class TmpfsFileSystem final : public FileSystem {
  public:
    // `max_pages`: writes beyond give ENOSPC. `type_name`: "tmpfs", or what it stands for.
    TmpfsFileSystem(uint64_t max_pages, const char* type_name, const char* options)
        : max_pages_(max_pages), type_name_(type_name), options_(options) {
        device = allocate_anonymous_device();
    }

    // The image under it, mapped at `memory`; before make_root(). `frames`: its physical address,
    // or 0 if its pages cannot be mapped (not page-aligned).
    void set_origin(const ErofsImage& image, const std::byte* memory, PhysAddr frames);
    // The root directory: the origin's, or an empty one with this mode.
    Result<RefPtr<Inode>> make_root(uint32_t mode);

    const char* type_name() const override { return type_name_; }
    const char* options() const override { return options_; }
    Statistics statistics() const override;

    // For its inodes.
    Result<RefPtr<Inode>> make_inode(const NewInode& what);
    // The inode of the origin's `nid`; the same for all of its names.
    Result<RefPtr<Inode>> make_origin_inode(uint64_t nid);
    const ErofsImage* origin() const { return origin_ ? &*origin_ : nullptr; }
    // The frame where bytes of the image lie, or 0 if they cannot be mapped.
    PhysAddr origin_frame(const std::byte* bytes) const;
    // ENOSPC, when full and when there is no memory.
    Result<PhysAddr> allocate_page();
    // ENOSPC unless `count` more pages fit.
    Result<void> check_room(uint64_t count) const;
    uint64_t max_pages() const { return max_pages_; }
    void free_page(PhysAddr page);

  private:
    friend class TmpfsInode;
    static constexpr size_t kLinkedBuckets = 64;

    uint64_t max_pages_, used_pages_ = 0, inode_count_ = 0, last_inode_ = 1;
    const char* type_name_;
    const char* options_;
    std::optional<ErofsImage> origin_;
    const std::byte* origin_memory_ = nullptr;
    PhysAddr origin_frames_ = 0;
    // Inodes with several names in the origin, by nid.
    TmpfsInode* linked_[kLinkedBuckets] = {};
};

// What all kinds of inode have: attributes, extended attributes, the origin. By itself: device
// nodes, fifos and sockets.
class TmpfsInode : public Inode {
  public:
    static constexpr uint64_t kNoOrigin = ~uint64_t{0};

    TmpfsInode(TmpfsFileSystem& owner, uint64_t origin_nid);
    ~TmpfsInode() override;

    TmpfsFileSystem& tmpfs() const { return static_cast<TmpfsFileSystem&>(file_system()); }

    Result<size_t> get_xattr(std::string_view name, void* value, size_t size) override;
    Result<void> set_xattr(std::string_view name, const void* value, size_t size,
                           int flags) override;
    Result<size_t> list_xattrs(char* names, size_t size) override;
    Result<void> remove_xattr(std::string_view name) override;

  protected:
    bool has_origin() const { return nid_ != kNoOrigin; }
    Result<ErofsImage::Node> origin_node() const { return tmpfs().origin()->node(nid_); }

  private:
    friend class TmpfsFileSystem;
    struct Xattr {
        std::string_view name() const { return {text.get(), name_size}; }
        const char* value() const { return text.get() + name_size; }

        std::unique_ptr<char[]> text;  // the name, then the value
        size_t name_size, value_size;
        std::unique_ptr<Xattr> next;
    };
    std::unique_ptr<Xattr>* find_xattr(std::string_view name);
    Result<void> take_in_xattrs();
    Result<std::unique_ptr<Xattr>> make_xattr(std::string_view prefix, std::string_view suffix,
                                              const void* value, size_t size);

    uint64_t nid_;
    TmpfsInode* next_linked_ = nullptr;
    bool xattrs_taken_in_ = false;  // the origin's are in xattrs_
    std::unique_ptr<Xattr> xattrs_;
};

class TmpfsSymlink final : public TmpfsInode {
  public:
    using TmpfsInode::TmpfsInode;
    Result<void> set_text(std::string_view text);
    Result<void> set_text_from_origin();
    uint64_t size() const override { return length_; }
    Result<LinkTarget> read_link() override;

  private:
    std::unique_ptr<char[]> text_;
    size_t length_ = 0;
};

class TmpfsFile final : public TmpfsInode {
  public:
    TmpfsFile(TmpfsFileSystem& owner, uint64_t origin_nid, uint64_t origin_size);
    ~TmpfsFile() override;

    uint64_t size() const override { return size_; }
    uint64_t blocks() const override;
    Result<size_t> read(IoBuffer& to, uint64_t offset) override;
    Result<size_t> write(IoBuffer& from, uint64_t offset) override;
    Result<void> truncate(uint64_t size) override;
    Result<void> allocate(int mode, uint64_t offset, uint64_t length) override;
    Result<uint64_t> seek_data(uint64_t offset, bool hole) override;
    Result<PhysAddr> page(uint64_t index, bool for_write) override;
    PhysAddr cached_page(uint64_t index) override;
    bool is_mappable() const override { return true; }
    Result<uint32_t> seals() const override;
    Result<void> add_seals(uint32_t seals) override;
    // memfd_create(2): `initial` are the first seals. Other files have none.
    void enable_seals(uint32_t initial) {
        has_seals_ = true;
        seals_ = initial;
    }

  private:
    // A page punched out of what the origin has. Frames are page-aligned, so never this.
    static constexpr uint64_t kHole = 1;

    bool is_from_origin(uint64_t index) const;
    bool has_data(uint64_t index) const {
        return pages_.get(index) > kHole || is_from_origin(index);
    }
    // The page's frame for writing: allocated, or copied from the origin. No reference is taken.
    Result<PhysAddr> own_page(uint64_t index);
    Result<size_t> write_page(IoBuffer& from, uint64_t index, size_t in_page, size_t length);
    Result<size_t> read_page(IoBuffer& to, uint64_t index, size_t in_page, size_t length);
    void drop_pages(uint64_t first, uint64_t end);
    Result<void> zero_part(uint64_t index, size_t start, size_t end);
    Result<void> punch_hole(uint64_t offset, uint64_t length);
    Result<void> preallocate(uint64_t first, uint64_t end);

    PageTree pages_;
    uint64_t size_;
    uint64_t used_pages_ = 0;
    uint64_t origin_pages_ = 0;  // pages from here on are not the origin's
    uint32_t seals_ = 0;
    bool has_seals_ = false;
};

class TmpfsDirectory final : public TmpfsInode {
  public:
    TmpfsDirectory(TmpfsFileSystem& owner, uint64_t origin_nid)
        : TmpfsInode(owner, origin_nid), complete_(origin_nid == kNoOrigin) {}

    uint64_t size() const override { return 20 * (2 + table_.count()); }  // as Linux's tmpfs
    Result<RefPtr<Inode>> lookup(std::string_view name) override;
    Result<RefPtr<Inode>> create(std::string_view name, const NewInode& what) override;
    Result<RefPtr<Inode>> create_unnamed(const NewInode& what) override;
    Result<void> link(std::string_view name, Inode& target) override;
    Result<void> unlink(std::string_view name, Inode& target) override;
    Result<void> remove_directory(std::string_view name, Inode& target) override;
    Result<void> rename(std::string_view name, Inode& target, Inode& new_directory,
                        std::string_view new_name, Inode* replaced, uint32_t flags) override;
    Result<void> list(uint64_t position, DirectoryVisitor& visitor) override;

  private:
    // Takes in all names of the origin.
    Result<void> complete();
    Result<RefPtr<Inode>> inode_of(DirectoryTable::Entry& entry);
    void touch();

    DirectoryTable table_;
    bool complete_;
};

}  // namespace coracle
