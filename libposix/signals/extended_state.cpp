#include "libposix/signals/extended_state.h"

#include <cpuid.h>

#include "kernel-min/lib/user_copy.h"

extern "C" {
int xsave_to_user(uint64_t address, uint64_t components);
int xrstor_from_user(uint64_t address, uint64_t components);
int fxsave_to_user(uint64_t address, uint64_t);
int fxrstor_from_user(uint64_t address, uint64_t);
}

namespace coracle {
namespace {

constexpr uint32_t kMagic1 = 0x46505853, kMagic2 = 0x46505845;  // "SXPF", "EXPF"
constexpr size_t kLegacySize = 512;
constexpr uint64_t kLegacyComponents = 3;  // x87 and SSE
constexpr uint32_t kInitialMxcsr = 0x1f80;

// struct _fpx_sw_bytes: what the kernel tells in the bytes that FXSAVE leaves free.
struct SoftwareBytes {
    uint32_t magic1;
    uint32_t extended_size;
    uint64_t components;
    uint32_t xstate_size;
    uint32_t padding[7];
};
static_assert(sizeof(SoftwareBytes) == 48);
constexpr size_t kSoftwareBytesOffset = 464;

struct XsaveHeader {  // Intel SDM 1, 13.4.2
    uint64_t components;
    uint64_t compaction;
    uint64_t reserved[6];
};
static_assert(sizeof(XsaveHeader) == 64);
constexpr size_t kHeaderOffset = kLegacySize;

// An area in which every component has its initial value.
struct alignas(64) InitialArea {
    uint16_t control = 0x37f;
    uint8_t to_mxcsr[22] = {};
    uint32_t mxcsr = kInitialMxcsr;
    uint8_t rest[512 - 28] = {};
    XsaveHeader header = {};
};
constexpr InitialArea kInitialArea;

struct Layout {
    uint64_t components = 0;  // XCR0; 0 without XSAVE
    uint32_t size = kLegacySize;
    uint32_t mxcsr_mask = 0xffbf;
};

Layout read_layout() {
    Layout layout;
    alignas(16) uint8_t legacy[kLegacySize] = {};
    asm volatile("fxsave64 %0" : "=m"(legacy));
    uint32_t mask;
    __builtin_memcpy(&mask, legacy + 28, sizeof(mask));
    if (mask) layout.mxcsr_mask = mask;

    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    constexpr uint32_t kOsXsave = 1u << 27;
    if (!(c & kOsXsave)) return layout;
    asm volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    layout.components = uint64_t{d} << 32 | a;
    __cpuid_count(0xd, 0, a, b, c, d);
    layout.size = b;
    return layout;
}

const Layout& layout() {
    static Layout cached;
    static bool is_known = false;
    if (!is_known) {
        cached = read_layout();
        is_known = true;
    }
    return cached;
}

bool save_legacy_only(uint64_t address) { return fxsave_to_user(address, 0); }

// Whether the program (or Linux's rules for one that knows of FXSAVE alone) left us an XSAVE area
// to load. False leads to the FXSAVE part alone.
bool is_extended_area(uint64_t address, const SoftwareBytes& software) {
    if (software.magic1 != kMagic1 || software.xstate_size < kLegacySize + sizeof(XsaveHeader) ||
        software.xstate_size > layout().size || software.xstate_size > software.extended_size) {
        return false;
    }
    uint32_t magic2;
    if (!copy_from_user(&magic2, address + software.xstate_size, sizeof(magic2))) return false;
    return magic2 == kMagic2;
}

bool is_valid_header(const XsaveHeader& header) {
    uint64_t reserved = header.compaction;
    for (uint64_t word : header.reserved) reserved |= word;
    return reserved == 0 && (header.components & ~layout().components) == 0;
}

void reset_components(uint64_t components) {
    xrstor_from_user(reinterpret_cast<uint64_t>(&kInitialArea), components);
}

}  // namespace

size_t extended_state_size() {
    return has_xsave() ? layout().size + sizeof(kMagic2) : kLegacySize;
}

bool has_xsave() { return layout().components != 0; }

bool save_extended_state(uint64_t address) {
    if (!is_user_range(address, extended_state_size())) return false;
    if (!has_xsave()) return save_legacy_only(address);

    // XSAVE leaves the header's other fields as they are.
    if (!clear_user(address + kHeaderOffset, sizeof(XsaveHeader))) return false;
    if (!xsave_to_user(address, layout().components)) return false;
    SoftwareBytes software{};
    software.magic1 = kMagic1;
    software.extended_size = static_cast<uint32_t>(extended_state_size());
    software.components = layout().components;
    software.xstate_size = layout().size;
    uint64_t saved;
    if (!copy_from_user(&saved, address + kHeaderOffset, sizeof(saved))) return false;
    // A program that changes the FXSAVE part expects it to be loaded, initial or not.
    saved |= kLegacyComponents;
    return copy_to_user(address + kHeaderOffset, &saved, sizeof(saved)) &&
           copy_to_user(address + kSoftwareBytesOffset, &software, sizeof(software)) &&
           copy_to_user(address + layout().size, &kMagic2, sizeof(kMagic2));
}

bool restore_extended_state(uint64_t address) {
    struct {
        uint8_t to_mxcsr[24];
        uint32_t mxcsr;
    } start;
    SoftwareBytes software;
    if (address % kExtendedStateAlignment != 0) return false;
    if (!copy_from_user(&start, address, sizeof(start))) return false;
    if (!copy_from_user(&software, address + kSoftwareBytesOffset, sizeof(software))) return false;
    if (start.mxcsr & ~layout().mxcsr_mask) return false;

    const uint64_t all = layout().components;
    if (!has_xsave()) return fxrstor_from_user(address, 0);
    if (!is_extended_area(address, software)) {
        reset_components(all & ~kLegacyComponents);
        return fxrstor_from_user(address, 0);
    }
    XsaveHeader header;
    if (!copy_from_user(&header, address + kHeaderOffset, sizeof(header))) return false;
    if (!is_valid_header(header)) return false;
    const uint64_t wanted = software.components & all;
    if (!xrstor_from_user(address, wanted)) return false;
    if (all & ~wanted) reset_components(all & ~wanted);
    return true;
}

void reset_extended_state() {
    if (has_xsave()) return reset_components(layout().components);
    fxrstor_from_user(reinterpret_cast<uint64_t>(&kInitialArea), 0);
}

}  // namespace coracle
