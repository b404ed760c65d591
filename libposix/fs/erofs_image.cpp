#include "libposix/fs/erofs_image.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "libposix/fs/erofs_format.h"

namespace coracle {
namespace {

using namespace erofs;

// Records need not be aligned in a damaged image.
template <typename T>
T load(Bytes bytes, uint64_t offset) {
    T value;
    memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

std::string_view as_text(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_known_type(uint32_t mode) {
    switch (mode & S_IFMT) {
        case S_IFREG:
        case S_IFDIR:
        case S_IFLNK:
        case S_IFCHR:
        case S_IFBLK:
        case S_IFIFO:
        case S_IFSOCK:
            return true;
    }
    return false;
}

// Linux's new_decode_dev.
uint64_t decode_device(uint32_t encoded) {
    uint64_t major = (encoded & 0xfff00) >> 8;
    uint64_t minor = (encoded & 0xff) | (encoded >> 12 & 0xfff00);
    return (minor & 0xff) | major << 8 | (minor & ~uint64_t{0xff}) << 12;
}

uint8_t directory_type(uint8_t type) {
    constexpr uint8_t kTypes[] = {DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
                                  DT_BLK,     DT_FIFO, DT_SOCK, DT_LNK};
    return type < sizeof(kTypes) ? kTypes[type] : static_cast<uint8_t>(DT_UNKNOWN);
}

constexpr uint64_t kMaxFileSize = uint64_t{1} << 48;

}  // namespace

Result<Bytes> ErofsImage::slice(uint64_t offset, uint64_t length) const {
    if (length > image_.size() || offset > image_.size() - length) return Error(EUCLEAN);
    return image_.subspan(offset, length);
}

Result<ErofsImage> ErofsImage::open(Bytes bytes) {
    ErofsImage image(bytes);
    if (bytes.size() < kSuperOffset + sizeof(SuperBlock)) return Error(EINVAL);
    auto super = load<SuperBlock>(bytes, kSuperOffset);
    if (super.magic != kMagic) return Error(EINVAL);
    if (super.block_bits != 12 || super.directory_block_bits != 0 || super.extra_devices != 0 ||
        (super.feature_incompat & ~(kIncompatZeroPadding | kIncompatChunkedFile)) != 0) {
        return Error(EOPNOTSUPP);
    }
    if (uint64_t{super.blocks} * kBlockSize > bytes.size()) return Error(EUCLEAN);
    image.metadata_offset_ = uint64_t{super.metadata_block} * kBlockSize;
    image.xattr_offset_ = uint64_t{super.xattr_block} * kBlockSize;
    image.root_nid_ = super.root_nid;
    image.inode_count_ = super.inode_count;
    image.build_time_ = super.build_time;
    image.build_time_ns_ = super.build_time_ns;
    Node root = TRY(image.node(image.root_nid_));
    if ((root.mode & S_IFMT) != S_IFDIR) return Error(EUCLEAN);
    return image;
}

Result<ErofsImage::Node> ErofsImage::node(uint64_t nid) const {
    if (nid > image_.size() / kInodeSlot) return Error(EUCLEAN);
    uint64_t offset = metadata_offset_ + nid * kInodeSlot;
    Bytes bytes = TRY(slice(offset, sizeof(CompactInode)));
    auto compact = load<CompactInode>(bytes, 0);
    bool is_extended = compact.format & 1;
    uint64_t inode_size = is_extended ? sizeof(ExtendedInode) : sizeof(CompactInode);

    Node node = {};
    node.nid = nid;
    node.mode = compact.mode;
    uint32_t data = compact.data;
    if (is_extended) {
        auto extended = load<ExtendedInode>(TRY(slice(offset, sizeof(ExtendedInode))), 0);
        node.size = extended.size;
        node.uid = extended.uid;
        node.gid = extended.gid;
        node.link_count = extended.link_count;
        node.modify_time = extended.modify_time;
        node.modify_time_ns = extended.modify_time_ns;
        data = extended.data;
    } else {
        node.size = compact.size;
        node.uid = compact.uid;
        node.gid = compact.gid;
        node.link_count = compact.link_count;
        node.modify_time = build_time_;
        node.modify_time_ns = build_time_ns_;
    }
    if (!is_known_type(node.mode) || node.size > kMaxFileSize || node.modify_time_ns > 999999999) {
        return Error(EUCLEAN);
    }
    if (compact.xattr_count != 0) {
        node.xattr_offset = offset + inode_size;
        node.xattr_size = sizeof(XattrHeader) + (compact.xattr_count - 1u) * 4;
    }
    uint64_t behind = offset + inode_size + node.xattr_size;
    bool has_data = S_ISREG(node.mode) || S_ISDIR(node.mode) || S_ISLNK(node.mode);
    if (!has_data) {
        node.size = 0;
        node.device = decode_device(data);
        return node;
    }

    auto layout = static_cast<DataLayout>(compact.format >> 1 & 7);
    if (layout == DataLayout::kChunkBased) {
        node.chunk_bits = 12 + (data & kChunkBitsMask);
        node.chunk_indexes = data & kChunkIndexes;
        uint64_t unit = node.chunk_indexes ? sizeof(ChunkIndex) : sizeof(uint32_t);
        node.chunk_table = (behind + unit - 1) & ~(unit - 1);
        return node;
    }
    if (layout != DataLayout::kFlatPlain && layout != DataLayout::kFlatInline) {
        return Error(EOPNOTSUPP);
    }
    node.first_block = data;
    uint64_t whole = node.size / kBlockSize, tail = node.size % kBlockSize;
    if (layout == DataLayout::kFlatInline && tail != 0) {
        node.inline_offset = behind;
        if (behind % kBlockSize + tail > kBlockSize) return Error(EUCLEAN);
        TRY(slice(behind, tail));
    } else if (tail != 0) {
        whole++;
    }
    if (whole != 0) TRY(slice(node.first_block * kBlockSize, whole * kBlockSize));
    return node;
}

Result<uint64_t> ErofsImage::chunk_address(const Node& node, uint64_t index) const {
    uint64_t chunk = (index * kBlockSize) >> node.chunk_bits;
    uint32_t block;
    if (node.chunk_indexes) {
        Bytes bytes = TRY(slice(node.chunk_table + chunk * sizeof(ChunkIndex), sizeof(ChunkIndex)));
        auto entry = load<ChunkIndex>(bytes, 0);
        if (entry.device != 0) return Error(EOPNOTSUPP);
        block = entry.block;
    } else {
        block = load<uint32_t>(TRY(slice(node.chunk_table + chunk * 4, 4)), 0);
    }
    if (block == kNoBlock) return uint64_t{0};
    uint64_t in_chunk = (index * kBlockSize) & ((uint64_t{1} << node.chunk_bits) - 1);
    return uint64_t{block} * kBlockSize + in_chunk;
}

Result<Bytes> ErofsImage::page(const Node& node, uint64_t index) const {
    if (index > kMaxFileSize / kBlockSize || index * kBlockSize >= node.size) return Error(ENXIO);
    uint64_t length = std::min<uint64_t>(kBlockSize, node.size - index * kBlockSize);
    if (node.chunk_bits != 0) {
        uint64_t address = TRY(chunk_address(node, index));
        if (address == 0) return Bytes{};
        TRY(slice(address, kBlockSize));
        return slice(address, length);
    }
    if (node.inline_offset != 0 && index == node.size / kBlockSize) {
        return slice(node.inline_offset, length);
    }
    return slice((node.first_block + index) * kBlockSize, length);
}

bool ErofsImage::is_whole_block(const Node& node, uint64_t index) {
    return node.inline_offset == 0 || index < node.size / kBlockSize;
}

Result<ErofsImage::DirectoryBlock> ErofsImage::directory_block(const Node& directory,
                                                               uint64_t index) const {
    if (!S_ISDIR(directory.mode)) return Error(ENOTDIR);
    DirectoryBlock block;
    block.bytes = TRY(page(directory, index));
    if (block.bytes.size() < sizeof(DirectoryEntry)) return Error(EUCLEAN);
    // The first name starts right behind the last record.
    uint32_t names = load<DirectoryEntry>(block.bytes, 0).name_offset;
    if (names < sizeof(DirectoryEntry) || names > block.bytes.size() ||
        names % sizeof(DirectoryEntry) != 0) {
        return Error(EUCLEAN);
    }
    block.count = names / sizeof(DirectoryEntry);
    return block;
}

Result<ErofsImage::Entry> ErofsImage::DirectoryBlock::entry(uint32_t index) const {
    auto record = load<DirectoryEntry>(bytes, index * sizeof(DirectoryEntry));
    uint32_t end = bytes.size();
    if (index + 1 < count) {
        end = load<DirectoryEntry>(bytes, (index + 1) * sizeof(DirectoryEntry)).name_offset;
    }
    if (record.name_offset < count * sizeof(DirectoryEntry) || end > bytes.size() ||
        record.name_offset >= end) {
        return Error(EUCLEAN);
    }
    std::string_view name = as_text(bytes.subspan(record.name_offset, end - record.name_offset));
    if (index + 1 == count) name = name.substr(0, name.find('\0'));
    if (name.empty() || name.size() > 255 || name.find('/') != name.npos ||
        name.find('\0') != name.npos) {
        return Error(EUCLEAN);
    }
    return Entry{record.nid, directory_type(record.type), name};
}

Result<ErofsImage::Entry> ErofsImage::lookup(const Node& directory, std::string_view name) const {
    // Names are sorted within a block and from block to block: find the last block whose first
    // name is not behind `name`, then the name in it.
    uint64_t low = 0, high = (directory.size + kBlockSize - 1) / kBlockSize;
    if (high == 0) return Error(ENOENT);
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        Entry first = TRY(TRY(directory_block(directory, middle)).entry(0));
        (name < first.name ? high : low) = middle;
    }
    DirectoryBlock block = TRY(directory_block(directory, low));
    uint32_t begin = 0, end = block.count;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        Entry entry = TRY(block.entry(middle));
        if (entry.name == name) return entry;
        if (entry.name < name) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return Error(ENOENT);
}

Result<size_t> ErofsImage::read_link(const Node& link, char* to, size_t capacity) const {
    if (link.size > capacity) return Error(EUCLEAN);
    for (uint64_t offset = 0; offset < link.size; offset += kBlockSize) {
        Bytes bytes = TRY(page(link, offset / kBlockSize));
        if (bytes.empty()) return Error(EUCLEAN);
        memcpy(to + offset, bytes.data(), bytes.size());
    }
    return static_cast<size_t>(link.size);
}

Result<ErofsImage::XattrEntry> ErofsImage::xattr_entry(uint64_t offset, uint64_t end) const {
    constexpr std::string_view kPrefixes[] = {
        "", "user.", "system.posix_acl_access", "system.posix_acl_default", "trusted.", "lustre.",
        "security."};
    auto header = load<XattrEntryHeader>(TRY(slice(offset, sizeof(XattrEntryHeader))), 0);
    uint64_t size = sizeof(header) + header.name_length + header.value_size;
    if (header.name_index == 0 || header.name_index >= std::size(kPrefixes) ||
        size > end - offset) {
        return Error(EUCLEAN);
    }
    Bytes bytes = TRY(slice(offset + sizeof(header), size - sizeof(header)));
    return XattrEntry{kPrefixes[header.name_index], as_text(bytes.first(header.name_length)),
                      bytes.subspan(header.name_length), offset + ((size + 3) & ~uint64_t{3})};
}

Result<ErofsImage::XattrEntry> ErofsImage::next_xattr(const Node& node,
                                                      XattrCursor& cursor) const {
    if (node.xattr_size == 0) return Error(ENODATA);
    Bytes body = TRY(slice(node.xattr_offset, node.xattr_size));
    auto header = load<XattrHeader>(body, 0);
    uint64_t inline_start = sizeof(header) + header.shared_count * sizeof(uint32_t);
    if (inline_start > body.size()) return Error(EUCLEAN);
    if (cursor.offset == 0) cursor.offset = inline_start;
    if (cursor.offset + sizeof(XattrEntryHeader) <= body.size()) {
        XattrEntry entry = TRY(xattr_entry(node.xattr_offset + cursor.offset,
                                           node.xattr_offset + node.xattr_size));
        cursor.offset = entry.next - node.xattr_offset;
        return entry;
    }
    if (cursor.shared >= header.shared_count) return Error(ENODATA);
    uint32_t slot = load<uint32_t>(body, sizeof(header) + cursor.shared++ * sizeof(uint32_t));
    return xattr_entry(xattr_offset_ + uint64_t{slot} * 4, image_.size());
}

}  // namespace coracle
