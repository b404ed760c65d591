// Stand-in for host tests: a frame's address is a pointer to page-aligned memory of its own, with
// a count of references, so that AddressSanitizer sees every use.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

using PhysAddr = uint64_t;

constexpr size_t kPageSize = 4096;
constexpr size_t kHugePageSize = 2 * 1024 * 1024;

template <typename T = void>
inline T* phys_to_virt(PhysAddr address) {
    return reinterpret_cast<T*>(address);
}

struct FrameStatistics {
    size_t total, free;
};
FrameStatistics frame_statistics();

Result<PhysAddr> allocate_frame();
Result<PhysAddr> allocate_zeroed_frame();
void get_frame(PhysAddr frame);
void put_frame(PhysAddr frame);

// For the tests: allocations fail when this many frames are in use.
extern size_t frame_limit;
size_t frames_in_use();

}  // namespace coracle
