#include "kernel-min/memory/kernel_map.h"

#include <cstring>

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/lib/panic.h"

extern "C" uint64_t kernel_pml4[512];

namespace coracle {

namespace {

// One top-level entry each, made at boot so that every address space inherits them.
constexpr uint64_t kDeviceBase = 0xffffc90000000000;
constexpr uint64_t kBootDirectMapEnd = 0x100000000;

uint64_t next_device = kDeviceBase;
uint64_t next_stack = KERNEL_STACKS_BASE;
uint64_t free_stacks;  // top of the last one freed; each holds the next in its last word

PageTable kernel_table() {
    return PageTable(reinterpret_cast<uint64_t>(kernel_pml4) - KERNEL_BASE);
}

}  // namespace

void init_memory(const BootInfo& info) {
    init_frames(info.usable, info.usable_count, info.reserved, info.reserved_count);
    PageTable table = kernel_table();
    for (size_t i = 0; i < info.usable_count; i++) {
        uint64_t start = info.usable[i].start & ~(kHugePageSize - 1);
        if (start < kBootDirectMapEnd) start = kBootDirectMapEnd;
        while (start < info.usable[i].end) {
            auto made = table.make_huge_entry(kDirectMapBase + start);
            if (!made) refuse_machine("not enough memory: give a larger -m");
            uint64_t* entry = made.value();
            do {  // to the end of the table
                *entry++ = start | kKernelDataFlags | pte::kHuge | pte::kGlobal;
                start += kHugePageSize;
            } while (start < info.usable[i].end && start % (512 * kHugePageSize) != 0);
        }
    }
    if (!table.make_entry(kDeviceBase) || !table.make_entry(KERNEL_STACKS_BASE) ||
        !refill_stack_reserve(*current_cpu())) {
        refuse_machine("not enough memory: give a larger -m");
    }
}

Result<PhysAddr> create_page_table_root() {
    PhysAddr root = TRY(allocate_zeroed_frame());
    memcpy(phys_to_virt<uint64_t>(root) + 256, kernel_pml4 + 256, 256 * sizeof(uint64_t));
    return root;
}

void* map_device(PhysAddr address, uint64_t size) {
    uint64_t offset = address & (kPageSize - 1);
    uint64_t start = next_device;
    for (uint64_t done = 0; done < offset + size; done += kPageSize) {
        auto entry = kernel_table().make_entry(next_device);
        if (!entry) return nullptr;
        *entry.value() =
            (address - offset + done) | kKernelDataFlags | pte::kCacheDisable | pte::kWriteThrough;
        next_device += kPageSize;
    }
    return reinterpret_cast<void*>(start + offset);
}

Result<uint64_t> allocate_kernel_stack() {
    if (free_stacks) {
        uint64_t top = free_stacks;
        free_stacks = reinterpret_cast<uint64_t*>(top)[-1];
        return top;
    }
    PageTable table = kernel_table();
    uint64_t start = next_stack + kPageSize;  // the guard page
    uint64_t* entry = nullptr;  // in the end, of the top page
    for (uint64_t done = 0; done < kKernelStackSize; done += kPageSize) {
        entry = TRY(table.make_entry(start + done));
    }
    *entry = TRY(allocate_frame()) | kKernelDataFlags;
    next_stack = start + kKernelStackSize;
    return next_stack;
}

bool refill_stack_reserve(Cpu& cpu) {
    StackReserve& reserve = cpu.stack_reserve;
    while (reserve.count < StackReserve::kSize) {
        auto frame = allocate_frame();
        if (!frame) return reserve.count >= kKernelStackSize / kPageSize;
        // The allocator may have used one for its own stack.
        reserve.frames[reserve.count++] = *frame;
    }
    return true;
}

void free_kernel_stack(uint64_t top) {
    reinterpret_cast<uint64_t*>(top)[-1] = free_stacks;
    free_stacks = top;
}

}  // namespace coracle
