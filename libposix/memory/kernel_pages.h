// Pages of the kernel image, mapped into processes as they lie: the libc image, the vDSO.
#pragma once

#include "libposix/memory/memory_object.h"

namespace coracle {

class KernelPages : public MemoryObject {
  public:
    // `start`: page-aligned, in the kernel image; `name`: for /proc/self/maps, a literal.
    KernelPages(const char* start, size_t size, const char* name)
        : start_(start), size_(size), name_(name) {}

    Result<PhysAddr> page(uint64_t index, bool for_write) override;
    PhysAddr cached_page(uint64_t index) override {
        auto frame = page(index, false);
        return frame ? frame.value() : 0;
    }
    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override;

  private:
    const char* start_;
    size_t size_;
    const char* name_;
};

}  // namespace coracle
