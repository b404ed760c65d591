// The kernel's half of the address space beyond what the core maps at boot: memory above 4 GiB,
// device registers, kernel stacks. All address spaces share it.
#pragma once

#include <cstdint>

#include "kernel-min/boot/boot_info.h"
#include "kernel-min/memory/page_table.h"
#include "kernel-min/sched/cpu.h"

namespace coracle {

// Frames, heap and the rest of the direct map. Called once, first.
void init_memory(const BootInfo& info);

// A new root table that shares the kernel's half. ENOMEM.
Result<PhysAddr> create_page_table_root();

// Registers of a device, uncached. Kernel addresses, for ever. Null if there is no memory.
void* map_device(PhysAddr address, uint64_t size);

constexpr uint64_t kKernelDataFlags =
    pte::kPresent | pte::kWritable | pte::kUser | pte::kNoExecute;

// The top of a new stack with an unmapped page below it. Its top page is there; the others come
// when they are touched (core/kernel_stack.cpp), from the CPU's reserve. ENOMEM.
constexpr uint64_t kKernelStackSize = 32 * 1024;
Result<uint64_t> allocate_kernel_stack();
void free_kernel_stack(uint64_t top);

// Fills a CPU's reserve. A thread uses at most kKernelStackSize / kPageSize frames of it before it
// leaves or sleeps, where that is done. False: there is no memory, and what is left would not do
// for another call.
bool refill_stack_reserve(Cpu& cpu);

}  // namespace coracle
