// Shared anonymous memory: what MAP_SHARED | MAP_ANONYMOUS maps. Zeros until written.
#pragma once

#include "libposix/fs/page_tree.h"
#include "libposix/memory/memory_object.h"

namespace coracle {

class SharedMemory final : public MemoryObject {
  public:
    // `size` in bytes, whole pages; it never changes (beyond it is SIGBUS).
    explicit SharedMemory(uint64_t size) : size_(size) {}
    ~SharedMemory() override;

    Result<PhysAddr> page(uint64_t index, bool for_write) override;
    PhysAddr cached_page(uint64_t index) override;
    Result<void> punch_hole(uint64_t offset, uint64_t size) override;
    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override;

    uint64_t resident_pages() const { return resident_pages_; }

  private:
    const uint64_t size_;
    uint64_t resident_pages_ = 0;
    PageTree pages_;  // frames, each with a reference of ours
};

}  // namespace coracle
