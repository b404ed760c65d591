// Four-level page tables (Intel SDM 3A, 4.5). Pure: tables are reached through phys_to_virt, and
// nothing here flushes the TLB. An entry that becomes present needs no flush; one that changes or
// goes does, and that is the caller's matter.
//
// Every entry is a user entry: the kernel runs in ring 3 too.
#pragma once

#include <cstdint>

#include "kernel-min/memory/frames.h"

namespace coracle {

namespace pte {
constexpr uint64_t kPresent = 1, kWritable = 2, kUser = 4, kWriteThrough = 8, kCacheDisable = 16,
                   kAccessed = 32, kDirty = 64, kHuge = 128, kGlobal = 256, kNoExecute = 1ul << 63;
constexpr uint64_t kAddressMask = 0x000ffffffffff000;
constexpr PhysAddr address(uint64_t entry) {
    return entry & kAddressMask;
}
}  // namespace pte

class PageTable {
  public:
    explicit PageTable(PhysAddr root) : root_(root) {}
    PhysAddr root() const { return root_; }

    // The 4 KiB entry for an address, making tables as needed; a 2 MiB entry on the way is split
    // into 512 with the same flags. ENOMEM.
    Result<uint64_t*> make_entry(uint64_t address);
    // The entry of the page directory, where a 2 MiB page may go if it is zero. ENOMEM.
    Result<uint64_t*> make_huge_entry(uint64_t address);

    // The entry that maps the address, 4 KiB or 2 MiB (*is_huge); null if there is none.
    uint64_t* find(uint64_t address, bool* is_huge = nullptr) const;

    // The first address of [address, end) for which find() may have an entry; `end` if there is
    // none. Skips what has no tables.
    uint64_t skip_empty(uint64_t address, uint64_t end) const;

    // Calls visit(address, entry, is_huge) for every non-zero entry of [start, end). The visitor
    // may change and clear the entry. A huge entry that sticks out of the range is split first;
    // without memory for that it answers ENOMEM, having visited what comes before.
    template <typename Visitor>
    Result<void> for_each(uint64_t start, uint64_t end, Visitor visit) {
        while (start < end) {
            uint64_t* entry = entry_at(start, 2);
            if (!entry) {
                start = skip_empty(start, end);
                continue;
            }
            uint64_t next = (start | (kHugePageSize - 1)) + 1;
            if (*entry & pte::kHuge) {
                if ((start & (kHugePageSize - 1)) == 0 && next <= end) {
                    visit(start, entry, true);
                    start = next;
                    continue;
                }
                TRY(split(entry));
            }
            if (*entry & pte::kPresent) {
                auto* table = phys_to_virt<uint64_t>(pte::address(*entry));
                uint64_t stop = next < end ? next : end;
                while (start < stop) {
                    uint64_t* leaf = &table[start >> 12 & 511];
                    if (*leaf) {
                        visit(start, leaf, false);
                        start += kPageSize;
                    } else {
                        start = skip_empty_leaves(table, start, stop);
                    }
                }
            }
            start = next;
        }
        return {};
    }

    // Splits the 2 MiB entry that `address` lies inside of, if there is one: afterwards the address
    // is a border between entries. ENOMEM.
    Result<void> split_at(uint64_t address);

    // Frees the tables of 4 KiB entries whose whole 2 MiB lie in [start, end). True if there were
    // any: then the TLB needs a flush. Precondition: their entries are zero.
    bool free_leaf_tables(uint64_t start, uint64_t end);

    // Frees the tables (not what they map) of the lower half. The CPU must not be using them.
    void free_lower_half();

  private:
    // The first address of [start, stop), all of one table, whose 4 KiB entry is not zero; or
    // `stop`.
    static uint64_t skip_empty_leaves(const uint64_t* table, uint64_t start, uint64_t stop);
    // The entry at `level` (1: 4 KiB, 2: 2 MiB); null if a table above it is missing.
    uint64_t* entry_at(uint64_t address, unsigned level) const;
    Result<uint64_t*> make_entry_at(uint64_t address, unsigned level);
    Result<void> split(uint64_t* huge_entry);
    void free_table(PhysAddr table, unsigned level, unsigned entries);

    PhysAddr root_;
};

}  // namespace coracle
