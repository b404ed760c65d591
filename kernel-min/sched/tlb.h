// Page tables in use and the TLBs of all CPUs. Callers hold the kernel lock.
#pragma once

#include <cstdint>

namespace coracle {

// Makes this CPU, and the current thread wherever it runs, use the page table with this root.
void use_page_table(uint64_t root);

// Drops the translations of [start, end), which are the application's, from every CPU that uses
// the page table. Done on return, but for CPUs that idle: they do it before they go on.
void flush_tlb(uint64_t root, uint64_t start, uint64_t end);

// The same for every CPU but this one, whose page fault has dropped the translation already.
void flush_other_tlbs(uint64_t root, uint64_t start, uint64_t end);

}  // namespace coracle
