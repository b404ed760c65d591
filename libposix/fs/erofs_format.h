// The on-disk structures of EROFS, little-endian (fs/erofs/erofs_fs.h of Linux). Structures only.
#pragma once

#include <cstdint>

namespace coracle::erofs {

constexpr uint64_t kSuperOffset = 1024;
constexpr uint32_t kMagic = 0xe0f5e1e2;
constexpr uint32_t kFeatureChecksum = 1;  // compatible features: the super block has a crc32c
// Incompatible features that do not change what an uncompressed reader does: zero padding of
// compressed data, chunk-based files.
constexpr uint32_t kIncompatZeroPadding = 1, kIncompatChunkedFile = 4;

struct SuperBlock {
    uint32_t magic, checksum, feature_compat;
    uint8_t block_bits, extra_slots;
    uint16_t root_nid;
    uint64_t inode_count;
    uint64_t build_time;
    uint32_t build_time_ns;
    uint32_t blocks;
    uint32_t metadata_block, xattr_block;
    uint8_t uuid[16], volume_name[16];
    uint32_t feature_incompat;
    uint16_t compression_algorithms, extra_devices, device_table_slot;
    uint8_t directory_block_bits;
    uint8_t reserved[37];
};
static_assert(sizeof(SuperBlock) == 128);

constexpr uint64_t kInodeSlot = 32;  // an inode's offset is its nid times this

enum class DataLayout : uint16_t {
    kFlatPlain = 0,
    kCompressedFull = 1,
    kFlatInline = 2,  // the last, partial block follows the inode
    kCompressedCompact = 3,
    kChunkBased = 4,
};

// The first 32 bytes of both forms; `format` bit 0 tells them apart, bits 1 to 3 are DataLayout.
struct CompactInode {
    uint16_t format, xattr_count, mode, link_count;
    uint32_t size, reserved;
    uint32_t data;  // first block, device number or chunk format
    uint32_t number;
    uint16_t uid, gid;
    uint32_t reserved2;
};
static_assert(sizeof(CompactInode) == 32);

struct ExtendedInode {
    uint16_t format, xattr_count, mode, reserved;
    uint64_t size;
    uint32_t data, number;
    uint32_t uid, gid;
    uint64_t modify_time;
    uint32_t modify_time_ns, link_count;
    uint8_t reserved2[16];
};
static_assert(sizeof(ExtendedInode) == 64);

constexpr uint32_t kNoBlock = 0xffffffff;  // a hole
constexpr uint16_t kChunkBitsMask = 0x1f, kChunkIndexes = 0x20;
struct ChunkIndex {
    uint16_t advise, device;
    uint32_t block;
};

struct __attribute__((packed)) DirectoryEntry {
    uint64_t nid;
    uint16_t name_offset;
    uint8_t type, reserved;
};
static_assert(sizeof(DirectoryEntry) == 12);

struct XattrHeader {
    uint32_t reserved;
    uint8_t shared_count, reserved2[7];
    // uint32_t shared[shared_count] follows, then the entries
};
static_assert(sizeof(XattrHeader) == 12);

struct XattrEntryHeader {
    uint8_t name_length, name_index;
    uint16_t value_size;
    // name, value; padded to 4 bytes
};
static_assert(sizeof(XattrEntryHeader) == 4);

}  // namespace coracle::erofs
