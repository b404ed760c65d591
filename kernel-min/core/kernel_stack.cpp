// Kernel stacks grow on demand: only the top page of each is there from the start.
#include "kernel-min/core/core.h"
#include "kernel-min/memory/kernel_map.h"

extern "C" uint64_t kernel_pml4[512];

namespace coracle::core {

namespace {

// The page's entry. The tables were made with the stack.
uint64_t* find_entry(uint64_t address) {
    uint64_t* table = kernel_pml4;
    for (unsigned shift = 39; shift > 12; shift -= 9) {
        const uint64_t entry = table[address >> shift & 511];
        if (!(entry & pte::kPresent)) return nullptr;
        table = reinterpret_cast<uint64_t*>(DIRECT_MAP_BASE + (entry & pte::kAddressMask));
    }
    return &table[address >> 12 & 511];
}

}  // namespace

bool grow_kernel_stack(uint64_t address) {
    if (address < KERNEL_STACKS_BASE || address >= KERNEL_STACKS_END) return false;
    constexpr uint64_t kStride = kKernelStackSize + kPageSize;
    const bool is_guard_page = (address - KERNEL_STACKS_BASE) % kStride < kPageSize;
    uint64_t* entry = find_entry(address);
    Cpu* cpu = current_core_cpu().cpu;
    StackReserve& reserve = cpu->stack_reserve;
    if (is_guard_page || !entry || *entry || reserve.count == 0) return false;
    *entry = reserve.frames[--reserve.count] | kKernelDataFlags;
    cpu->pending.fetch_or(kPendingStackReserve, std::memory_order_relaxed);
    return true;
}

}  // namespace coracle::core
