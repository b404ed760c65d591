// Reads an EROFS image in memory, in place (Documentation/filesystems/erofs.rst of Linux;
// the layout is in erofs_format.h). Uncompressed files only. Nothing in the image is trusted:
// whatever does not fit is EUCLEAN, and no read goes outside the image.
//
// Pure: no allocation, no other kernel part. The host's tests and its fuzzer compile it unchanged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel-min/lib/result.h"

namespace coracle {

using Bytes = std::span<const std::byte>;

class ErofsImage {
  public:
    static constexpr uint32_t kBlockSize = 4096;

    // An inode. Decoded from `nid`, checked as far as can be without reading its data.
    struct Node {
        uint64_t nid;
        uint64_t size;
        uint64_t device;  // st_rdev
        uint64_t modify_time;
        uint32_t modify_time_ns;
        uint32_t mode, uid, gid, link_count;
        uint64_t xattr_offset;   // in the image
        uint32_t xattr_size;     // 0: none
        uint64_t inline_offset;  // of the tail in the image; 0: no inline tail
        uint64_t first_block;    // of flat data
        uint8_t chunk_bits;      // log2 of the chunk size; 0: flat data
        bool chunk_indexes;      // 8-byte chunk entries
        uint64_t chunk_table;    // offset in the image
    };

    struct Entry {
        uint64_t nid;
        uint8_t type;  // DT_*
        std::string_view name;
    };

    // EINVAL: not an EROFS image. EOPNOTSUPP: one with features that are not here (compression,
    // several devices, other block sizes). EUCLEAN: damaged.
    static Result<ErofsImage> open(Bytes image);

    uint64_t root_nid() const { return root_nid_; }
    uint64_t size() const { return image_.size(); }
    uint64_t inode_count() const { return inode_count_; }

    Result<Node> node(uint64_t nid) const;

    // The bytes of one 4 KiB page of a file: fewer than 4096 at its end, none for a hole. ENXIO
    // beyond the end. Where the whole page lies in the image by itself (aligned, and the rest of
    // a last page is the block's own padding), it can be mapped: see is_whole_block().
    Result<Bytes> page(const Node& node, uint64_t index) const;
    // Whether page() of this index is a block of its own in the image, followed by padding alone.
    static bool is_whole_block(const Node& node, uint64_t index);

    // ENOENT.
    Result<Entry> lookup(const Node& directory, std::string_view name) const;
    // Calls visit(entry) -> Result<void> for each entry but "." and ".."; ends at its first error.
    template <typename Visit>
    Result<void> for_each_entry(const Node& directory, Visit visit) const;

    // Copies a symbolic link's text (node.size bytes) to `to`. EUCLEAN if it is longer than
    // `capacity`.
    Result<size_t> read_link(const Node& link, char* to, size_t capacity) const;

    // Calls visit(prefix, suffix, value) -> Result<void> for each extended attribute, whose name
    // is the prefix ("security.") followed by the suffix.
    template <typename Visit>
    Result<void> for_each_xattr(const Node& node, Visit visit) const;

  private:
    struct DirectoryBlock;
    struct XattrEntry {
        std::string_view prefix, suffix;
        Bytes value;
        uint64_t next;  // offset of the entry behind it
    };

    explicit ErofsImage(Bytes image) : image_(image) {}
    // EUCLEAN if the range is not inside the image.
    Result<Bytes> slice(uint64_t offset, uint64_t length) const;
    Result<uint64_t> chunk_address(const Node& node, uint64_t index) const;
    Result<DirectoryBlock> directory_block(const Node& directory, uint64_t index) const;
    Result<XattrEntry> xattr_entry(uint64_t offset, uint64_t end) const;
    // The next entry: inline ones first, then shared ones. `state` counts both; EUCLEAN, ENODATA
    // at the end.
    struct XattrCursor {
        uint64_t offset = 0;
        uint32_t shared = 0;
    };
    Result<XattrEntry> next_xattr(const Node& node, XattrCursor& cursor) const;

    Bytes image_;
    uint64_t root_nid_ = 0;
    uint64_t metadata_offset_ = 0;
    uint64_t xattr_offset_ = 0;
    uint64_t inode_count_ = 0;
    uint64_t build_time_ = 0;
    uint32_t build_time_ns_ = 0;
};

// One block of directory entries: fixed records, sorted by name, then the names.
struct ErofsImage::DirectoryBlock {
    Bytes bytes;
    uint32_t count;

    // EUCLEAN for a bad name or number.
    Result<Entry> entry(uint32_t index) const;
};

template <typename Visit>
Result<void> ErofsImage::for_each_entry(const Node& directory, Visit visit) const {
    uint64_t blocks = (directory.size + kBlockSize - 1) / kBlockSize;
    for (uint64_t block_index = 0; block_index < blocks; block_index++) {
        DirectoryBlock block = TRY(directory_block(directory, block_index));
        for (uint32_t i = 0; i < block.count; i++) {
            Entry entry = TRY(block.entry(i));
            if (entry.name == "." || entry.name == "..") continue;
            TRY(visit(entry));
        }
    }
    return {};
}

template <typename Visit>
Result<void> ErofsImage::for_each_xattr(const Node& node, Visit visit) const {
    XattrCursor cursor;
    for (;;) {
        Result<XattrEntry> entry = next_xattr(node, cursor);
        if (!entry.ok()) {
            if (entry.error_code() == ENODATA) return {};
            return entry.error();
        }
        TRY(visit(entry->prefix, entry->suffix, entry->value));
    }
}

}  // namespace coracle
