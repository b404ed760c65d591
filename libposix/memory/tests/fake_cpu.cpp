#include "libposix/memory/tests/fake_cpu.h"

#include <gtest/gtest.h>

#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/tlb.h"

namespace coracle {

FakeCpu fake_cpu;

void use_page_table(uint64_t) {
    fake_cpu.gates++;
    fake_cpu.flush_all();
}

void flush_tlb(uint64_t, uint64_t start, uint64_t end) {
    fake_cpu.gates++;
    if (end - start <= kPageSize) {
        fake_cpu.flush_page(start);
    } else {
        fake_cpu.flush_all();
    }
}

void flush_other_tlbs(uint64_t, uint64_t, uint64_t) {}

// There is no kernel half to share.
Result<PhysAddr> create_page_table_root() {
    return allocate_zeroed_frame();
}

void FakeCpu::flush_page(uint64_t address) {
    auto it = tlb_.find(page_down(address));
    if (it == tlb_.end()) return;
    if (!it->second.is_huge) {
        tlb_.erase(it);
        return;
    }
    uint64_t start = address & ~(kHugePageSize - 1);
    tlb_.erase(tlb_.lower_bound(start), tlb_.lower_bound(start + kHugePageSize));
}

std::optional<FakeCpu::Translation> FakeCpu::walk(AddressSpace& space, uint64_t page) {
    bool is_huge = false;
    uint64_t* entry = space.page_table().find(page, &is_huge);
    if (!entry || !(*entry & pte::kPresent)) return std::nullopt;
    uint64_t offset = is_huge ? page & (kHugePageSize - 1) : 0;
    return Translation{pte::address(*entry) + offset, (*entry & pte::kWritable) != 0, is_huge};
}

FakeCpu::Access FakeCpu::access(AddressSpace& space, uint64_t address, bool write) {
    uint64_t page = page_down(address);
    for (int faults = 0; faults < 3; faults++) {
        auto cached = tlb_.find(page);
        auto now = walk(space, page);
        if (cached != tlb_.end()) {
            const Translation& used = cached->second;
            bool is_stale = !now || now->frame != used.frame || (used.writable && !now->writable);
            EXPECT_FALSE(is_stale) << "stale translation of " << std::hex << page;
        }
        std::optional<Translation> translation;
        if (cached != tlb_.end())
            translation = cached->second;
        else
            translation = now;
        if (translation && (!write || translation->writable)) {
            tlb_.insert_or_assign(page, *translation);
            return {phys_to_virt<uint8_t>(translation->frame) + (address - page)};
        }
        flush_page(page);  // as a page fault does
        FaultOutcome outcome = space.resolve_fault(address, write, false);
        if (outcome != FaultOutcome::kResolved) return {nullptr, outcome};
    }
    ADD_FAILURE() << "faults without end at " << std::hex << address;
    return {nullptr, FaultOutcome::kNotMapped};
}

}  // namespace coracle
