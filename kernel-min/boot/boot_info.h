// What the boot protocols tell, in one form. Sources: Xen's PVH start info
// (xen/include/public/arch-x86/hvm/start_info.h) and Linux's Documentation/x86/boot.rst,
// zero-page.rst.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/memory/frames.h"

namespace coracle {

struct BootInfo {
    static constexpr size_t kMaxRanges = 64;
    MemoryRange usable[kMaxRanges];
    size_t usable_count = 0;
    MemoryRange reserved[8];  // kernel image, boot data, module: inside usable memory
    size_t reserved_count = 0;
    const char* command_line = "";  // in the direct map, NUL-terminated
    MemoryRange module = {0, 0};    // the root image; empty if there is none
    PhysAddr acpi_rsdp = 0;         // 0: not told
};

extern BootInfo boot_info;

// Called first in ring 3, with the word that the core passed: the physical address of the
// protocol's structure, bit 63 set for the Linux protocol.
void read_boot_info(uint64_t boot_word);

}  // namespace coracle
