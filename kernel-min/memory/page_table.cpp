#include "kernel-min/memory/page_table.h"

namespace coracle {

namespace {

constexpr uint64_t kTableFlags = pte::kPresent | pte::kWritable | pte::kUser;

uint64_t index(uint64_t address, unsigned level) {
    return address >> (12 + 9 * (level - 1)) & 511;
}
uint64_t span(unsigned level) {
    return uint64_t{1} << (12 + 9 * (level - 1));
}

}  // namespace

uint64_t* PageTable::entry_at(uint64_t address, unsigned level) const {
    auto* table = phys_to_virt<uint64_t>(root_);
    for (unsigned at = 4; at > level; at--) {
        uint64_t entry = table[index(address, at)];
        if (!(entry & pte::kPresent) || entry & pte::kHuge) return nullptr;
        table = phys_to_virt<uint64_t>(pte::address(entry));
    }
    return &table[index(address, level)];
}

Result<uint64_t*> PageTable::make_entry_at(uint64_t address, unsigned level) {
    auto* table = phys_to_virt<uint64_t>(root_);
    for (unsigned at = 4; at > level; at--) {
        uint64_t* entry = &table[index(address, at)];
        if (*entry & pte::kHuge) {  // present or not: see AddressSpace on PROT_NONE
            TRY(split(entry));
        } else if (!(*entry & pte::kPresent)) {
            *entry = TRY(allocate_zeroed_frame()) | kTableFlags;
        }
        table = phys_to_virt<uint64_t>(pte::address(*entry));
    }
    return &table[index(address, level)];
}

Result<uint64_t*> PageTable::make_entry(uint64_t address) {
    return make_entry_at(address, 1);
}
Result<uint64_t*> PageTable::make_huge_entry(uint64_t address) {
    return make_entry_at(address, 2);
}

uint64_t* PageTable::find(uint64_t address, bool* is_huge) const {
    uint64_t* entry = entry_at(address, 2);
    if (!entry || !*entry) return nullptr;
    bool huge = (*entry & pte::kHuge) != 0;
    if (is_huge) *is_huge = huge;
    if (!huge) entry = &phys_to_virt<uint64_t>(pte::address(*entry))[index(address, 1)];
    return *entry ? entry : nullptr;
}

uint64_t PageTable::skip_empty(uint64_t address, uint64_t end) const {
    while (address < end) {
        auto* table = phys_to_virt<uint64_t>(root_);
        unsigned level = 4;
        for (; level > 2; level--) {
            uint64_t entry = table[index(address, level)];
            if (!(entry & pte::kPresent)) break;
            table = phys_to_virt<uint64_t>(pte::address(entry));
        }
        if (level == 2 && table[index(address, 2)] != 0) return address;
        address = (address | (span(level) - 1)) + 1;
    }
    return end;
}

uint64_t PageTable::skip_empty_leaves(const uint64_t* table, uint64_t start, uint64_t stop) {
    // A stack or an arena has few pages and many empty entries: they are looked at eight at a time.
    constexpr uint64_t kBlock = 8 * kPageSize;
    while (start < stop) {
        const uint64_t* leaf = &table[index(start, 1)];
        if (start % kBlock == 0 && start + kBlock <= stop &&
            (leaf[0] | leaf[1] | leaf[2] | leaf[3] | leaf[4] | leaf[5] | leaf[6] | leaf[7]) == 0) {
            start += kBlock;
        } else if (*leaf == 0) {
            start += kPageSize;
        } else {
            break;
        }
    }
    return start;
}

Result<void> PageTable::split(uint64_t* huge_entry) {
    PhysAddr frame = TRY(allocate_frame());
    auto* table = phys_to_virt<uint64_t>(frame);
    uint64_t leaf = *huge_entry & ~pte::kHuge;
    for (unsigned i = 0; i < 512; i++) table[i] = leaf + i * kPageSize;
    *huge_entry = frame | kTableFlags;
    return {};
}

Result<void> PageTable::split_at(uint64_t address) {
    if ((address & (kHugePageSize - 1)) == 0) return {};
    uint64_t* entry = entry_at(address, 2);
    if (entry && (*entry & pte::kHuge)) TRY(split(entry));
    return {};
}

bool PageTable::free_leaf_tables(uint64_t start, uint64_t end) {
    bool any = false;
    start = (start + kHugePageSize - 1) & ~(kHugePageSize - 1);
    while (start + kHugePageSize <= end) {
        uint64_t* entry = entry_at(start, 2);
        if (!entry) {
            start = (skip_empty(start, end) + kHugePageSize - 1) & ~(kHugePageSize - 1);
            continue;
        }
        if ((*entry & pte::kPresent) && !(*entry & pte::kHuge)) {
            put_frame(pte::address(*entry));
            *entry = 0;
            any = true;
        }
        start += kHugePageSize;
    }
    return any;
}

void PageTable::free_table(PhysAddr address, unsigned level, unsigned entries) {
    auto* table = phys_to_virt<uint64_t>(address);
    for (unsigned i = 0; i < entries; i++) {
        if (!(table[i] & pte::kPresent) || table[i] & pte::kHuge) continue;
        if (level > 2) free_table(pte::address(table[i]), level - 1, 512);
        put_frame(pte::address(table[i]));
        table[i] = 0;
    }
}

void PageTable::free_lower_half() {
    free_table(root_, 4, 256);
}

}  // namespace coracle
