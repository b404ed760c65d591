// The kernel's half of the address space as ring 3 first finds it: the image section by section,
// and the direct map of the first 4 GiB. Ring 3 owns these tables from then on.
#include "kernel-min/core/core.h"

extern "C" {
extern char core_start[], core_end[], core_text_end[], kernel_text_start[], kernel_text_end[],
    kernel_rodata_end[], kernel_image_end[];
}

// In ring 3's memory: the kernel maps and unmaps by itself.
[[gnu::section(".page_tables")]] alignas(4096) uint64_t kernel_pml4[512];

namespace coracle::core {

namespace {

constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4, kHuge = 0x80, kGlobal = 0x100,
                   kNoExecute = 1ul << 63;
constexpr unsigned kImageTables = 16;  // 4 KiB pages for images of up to 32 MiB

[[gnu::section(".page_tables")]] alignas(4096) uint64_t direct_pdpt[512];
[[gnu::section(".page_tables")]] alignas(4096) uint64_t direct_pd[4][512];
[[gnu::section(".page_tables")]] alignas(4096) uint64_t direct_pt[512];
[[gnu::section(".page_tables")]] alignas(4096) uint64_t image_pdpt[512];
[[gnu::section(".page_tables")]] alignas(4096) uint64_t image_pd[512];
[[gnu::section(".page_tables")]] alignas(4096) uint64_t image_pt[kImageTables][512];

uint64_t physical(const void* pointer) { return reinterpret_cast<uint64_t>(pointer) - KERNEL_BASE; }
uint64_t table(const void* pointer) { return physical(pointer) | kPresent | kWritable | kUser; }

bool is_core(uint64_t address) {
    return address >= physical(core_start) && address < physical(core_end);
}

}  // namespace

void set_up_page_tables() {
    kernel_pml4[256 + ((DIRECT_MAP_BASE >> 39) & 0xff)] = table(direct_pdpt);
    kernel_pml4[511] = table(image_pdpt);

    for (unsigned gib = 0; gib < 4; gib++) {
        direct_pdpt[gib] = table(direct_pd[gib]);
        for (unsigned i = 0; i < 512; i++) {
            direct_pd[gib][i] =
                (static_cast<uint64_t>(gib) << 30 | static_cast<uint64_t>(i) << 21) | kPresent |
                kWritable | kUser | kHuge | kGlobal | kNoExecute;
        }
    }
    // The first 2 MiB page by page: the core, which lies in it, is not for ring 3.
    direct_pd[0][0] = table(direct_pt);
    for (uint64_t i = 0; i < 512; i++) {
        direct_pt[i] = i << 12 | kPresent | kWritable | kGlobal | kNoExecute |
                       (is_core(i << 12) ? 0 : kUser);
    }

    image_pdpt[510] = table(image_pd);
    uint64_t text_start = physical(kernel_text_start), text_end = physical(kernel_text_end);
    uint64_t end = physical(kernel_image_end);
    for (uint64_t address = physical(core_start); address < end; address += 4096) {
        uint64_t flags = kPresent | kGlobal;
        if (address < physical(core_text_end)) {
            // The core's code: ring 0 alone.
        } else if (is_core(address)) {
            flags |= kWritable | kNoExecute;
        } else if (address >= text_start && address < text_end) {
            flags |= kUser;
        } else if (address < physical(kernel_rodata_end)) {
            flags |= kUser | kNoExecute;
        } else {
            flags |= kUser | kWritable | kNoExecute;
        }
        image_pt[address >> 21][address >> 12 & 511] = address | flags;
    }
    for (unsigned i = 0; i < kImageTables; i++) image_pd[i] = table(image_pt[i]);

    load_kernel_page_tables();
}

void load_kernel_page_tables() {
    asm volatile("mov %0, %%cr3" ::"r"(physical(kernel_pml4)) : "memory");
}

}  // namespace coracle::core
