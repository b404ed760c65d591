// The memory of a packet socket's rings (Documentation/networking/packet_mmap.rst), which mmap(2)
// shows to the program: the blocks for what comes in, then those for what goes out.
#pragma once

#include <memory>

#include "libposix/memory/memory_object.h"
#include "libposix/net/packet/ring_layout.h"

namespace coracle::net {

// Blocks of one size, each contiguous, zero at first.
class RingBlocks {
  public:
    static constexpr uint32_t kMaxBlockSize = 4 << 20;

    RingBlocks() = default;
    RingBlocks(const RingBlocks&) = delete;
    RingBlocks& operator=(const RingBlocks&) = delete;
    ~RingBlocks() { free(); }

    // `size`: of whole pages. ENOMEM. Precondition: it has none.
    Result<void> allocate(uint32_t count, uint32_t size);
    void free();

    uint32_t count() const { return count_; }
    uint32_t block_size() const { return size_; }
    uint64_t pages() const { return uint64_t{count_} * (size_ / kPageSize); }
    char* block(uint32_t index) const { return phys_to_virt<char>(blocks_[index]); }
    // Precondition: it has the page.
    PhysAddr page(uint64_t index) const;

  private:
    std::unique_ptr<PhysAddr[]> blocks_;
    uint32_t count_ = 0, size_ = 0;
    unsigned order_ = 0;
};

// The frame of this number, where all are of one size.
inline char* ring_frame(const RingBlocks& blocks, const RingLayout& layout, uint32_t index) {
    const uint32_t of_block = layout.frames_of_block();
    return blocks.block(index / of_block) + size_t{index % of_block} * layout.frame_size;
}

class RingMemory final : public MemoryObject {
  public:
    explicit RingMemory(uint64_t inode) : inode_(inode) {}

    RingBlocks receive, transmit;

    // Precondition: somebody holds one reference himself.
    bool is_mapped() const { return reference_count() > 1; }
    // All of it or nothing.
    bool can_map(uint64_t offset, uint64_t size) const override {
        return offset == 0 && size == (receive.pages() + transmit.pages()) * kPageSize;
    }
    Result<PhysAddr> page(uint64_t index, bool for_write) override;
    PhysAddr cached_page(uint64_t index) override;
    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override;

  private:
    uint64_t inode_;
};

}  // namespace coracle::net
