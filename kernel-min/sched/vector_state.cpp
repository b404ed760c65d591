#include "kernel-min/sched/vector_state.h"

#include <cpuid.h>

#include <cstring>

#include "kernel-min/memory/heap.h"

namespace coracle {
namespace {

constexpr size_t kLegacySize = 512, kHeaderSize = 64, kAlignment = 64;

// Bytes of XSAVE's area for what XCR0 enables; 0 where there is only FXSAVE.
size_t find_xsave_size() {
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    constexpr uint32_t kOsXsave = 1u << 27;
    if (!(c & kOsXsave)) return 0;
    __cpuid_count(0xd, 0, a, b, c, d);
    return b;
}

const size_t xsave_size = find_xsave_size();

}  // namespace

Result<void> VectorState::allocate() {
    if (area_) return {};
    const size_t size = xsave_size ? xsave_size : kLegacySize;
    // The heap aligns to 16 bytes: the block's start is kept in front of the area.
    auto* block = static_cast<uint8_t*>(kernel_allocate(size + kAlignment));
    if (!block) return Error(ENOMEM);
    const size_t offset = kAlignment - reinterpret_cast<uint64_t>(block) % kAlignment;
    area_ = block + offset;
    area_[-1] = static_cast<uint8_t>(offset);
    if (xsave_size) memset(area_ + kLegacySize, 0, kHeaderSize);
    return {};
}

void VectorState::release() {
    if (area_) kernel_free(area_ - area_[-1]);
    area_ = nullptr;
}

void VectorState::save_all() {
    if (xsave_size) {
        asm volatile("xsave64 (%0)" ::"r"(area_), "a"(~0u), "d"(~0u) : "memory");
    } else {
        asm volatile("fxsave64 (%0)" ::"r"(area_) : "memory");
    }
    holds_all_ = true;
}

void VectorState::restore_all() const {
    if (xsave_size) {
        asm volatile("xrstor64 (%0)" ::"r"(area_), "a"(~0u), "d"(~0u) : "memory");
    } else {
        asm volatile("fxrstor64 (%0)" ::"r"(area_) : "memory");
    }
}

}  // namespace coracle
