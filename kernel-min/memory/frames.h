// Physical memory: 4 KiB page frames, counted, from a buddy allocator; and the direct map through
// which the kernel reaches all of it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

using PhysAddr = uint64_t;

constexpr size_t kPageSize = 4096;
constexpr size_t kHugePageSize = 2 * 1024 * 1024;
constexpr unsigned kHugePageOrder = 9;
constexpr unsigned kMaxFrameOrder = 10;  // the largest block is 4 MiB

#ifdef CORACLE_HOST_TEST
inline uint64_t kDirectMapBase = 0;  // a test's arena stands for physical memory
#else
constexpr uint64_t kDirectMapBase = 0xffff888000000000;
#endif
template <typename T = void>
inline T* phys_to_virt(PhysAddr address) {
    return reinterpret_cast<T*>(kDirectMapBase + address);
}
// Preconditions: `pointer` is in the direct map.
inline PhysAddr direct_to_phys(const void* pointer) {
    return reinterpret_cast<uint64_t>(pointer) - kDirectMapBase;
}

struct MemoryRange {
    PhysAddr start;
    PhysAddr end;
};

// Hands the usable ranges less the reserved ones (kernel image, boot data, boot module) to the
// allocator. The frame array is carved out of the usable memory. Reserved RAM can be referenced
// (get/put) but is never freed. Called once at boot.
void init_frames(const MemoryRange* usable, size_t usable_count, const MemoryRange* reserved,
                 size_t reserved_count);

// 2^order contiguous frames, aligned to their size, each with one reference; ENOMEM. Contents are
// undefined. Each frame can be released by itself.
Result<PhysAddr> allocate_frames(unsigned order);
inline Result<PhysAddr> allocate_frame() {
    return allocate_frames(0);
}
Result<PhysAddr> allocate_zeroed_frame();

// One more or one fewer reference; the frame is freed with the last.
void get_frame(PhysAddr frame);
void put_frame(PhysAddr frame);
void put_frames(PhysAddr first, unsigned order);
// Whether this is the only reference: then a copy-on-write page may be written in place.
bool is_frame_exclusive(PhysAddr frame);

// The order with which the block that starts at this frame was allocated.
unsigned allocation_order(PhysAddr frame);

// Zeroes one page of kernel memory; page-aligned.
void clear_page(void* page);

struct FrameStatistics {
    size_t total, free;  // frames
};
FrameStatistics frame_statistics();

}  // namespace coracle
