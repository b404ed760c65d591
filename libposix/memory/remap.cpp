// mremap(2).
#include "kernel-min/lib/user_copy.h"
#include "libposix/memory/address_space.h"

namespace coracle {

namespace {
uint64_t page_up(uint64_t value) { return (value + kPageSize - 1) & ~(kPageSize - 1); }
}  // namespace

// Moves page-table entries; huge ones move whole where both ends are aligned, else split.
Result<void> AddressSpace::move_pages(uint64_t from, uint64_t to, uint64_t size) {
    bool aligned = ((from ^ to) & (kHugePageSize - 1)) == 0;
    bool out_of_memory = false;
    uint64_t moved_low = from + size, moved_high = from;
    auto move_entry = [&](uint64_t address, uint64_t* entry, bool is_huge) {
        uint64_t target = to + (address - from);
        auto place = is_huge ? table_.make_huge_entry(target) : table_.make_entry(target);
        if (!place) {
            out_of_memory = true;
            return;
        }
        *place.value() = *entry;
        *entry = 0;
        if (address < moved_low) moved_low = address;
        moved_high = address + (is_huge ? kHugePageSize : kPageSize);
    };
    if (aligned) {
        TRY(table_.for_each(from, from + size, move_entry));
    } else {
        // Page by page: for_each splits a huge entry that sticks out of its range.
        uint64_t end = from + size;
        for (uint64_t at = from; at < end;) {
            bool is_huge = false;
            uint64_t* entry = table_.find(at, &is_huge);
            uint64_t next = at + kPageSize;
            if (entry) TRY(table_.for_each(at, next, move_entry));
            at = next;
        }
    }
    if (moved_low < moved_high) flush_range(moved_low, moved_high);
    if (out_of_memory) return Error(ENOMEM);
    return {};
}

Result<uint64_t> AddressSpace::move_region(Region& region, uint64_t old_address, uint64_t old_size,
                                           uint64_t new_size, int flags, uint64_t new_address) {
    MapRequest request = {
        .address = new_address,
        .size = new_size,
        .protection = region.protection,
        .flags = (region.shared ? MAP_SHARED : MAP_PRIVATE) |
                 (flags & MREMAP_FIXED ? MAP_FIXED : 0) |
                 (region.no_reserve ? MAP_NORESERVE : 0),
        .object = region.object,
        .offset = region.offset + (old_address - region.start),
        .name = region.name,
        .may_write = region.may_write,
    };
    uint64_t start = TRY(map(request));
    uint64_t common = old_size < new_size ? old_size : new_size;
    TRY(move_pages(old_address, start, common));
    if (!(flags & MREMAP_DONTUNMAP)) TRY(unmap(old_address, old_size));
    return start;
}

Result<uint64_t> AddressSpace::remap(uint64_t old_address, uint64_t old_size, uint64_t new_size,
                                     int flags, uint64_t new_address) {
    old_size = page_up(old_size);
    new_size = page_up(new_size);
    if (flags & MREMAP_FIXED) {
        bool overlap = new_address < old_address + old_size && old_address < new_address + new_size;
        if (overlap) return Error(EINVAL);
    }
    Region* region = find(old_address);
    if (!region) return Error(EFAULT);
    if (old_size == 0) {
        // A second view of shared memory.
        if (!region->shared) return Error(EINVAL);
        return move_region(*region, old_address, 0, new_size, flags | MREMAP_DONTUNMAP,
                           new_address);
    }
    if (old_address + old_size > region->end) return Error(EFAULT);
    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        return move_region(*region, old_address, old_size, new_size, flags, new_address);
    }
    if (new_size <= old_size) {
        if (new_size < old_size) TRY(unmap(old_address + new_size, old_size - new_size));
        return old_address;
    }
    uint64_t end = old_address + old_size, new_end = old_address + new_size;
    Region* next = find_at_or_after(end);
    bool room = region->end == end && new_end <= kUserEnd && (!next || next->start >= new_end);
    if (room) {
        TRY(map({.address = end,
                 .size = new_end - end,
                 .protection = region->protection,
                 .flags = (region->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED_NOREPLACE |
                          (region->no_reserve ? MAP_NORESERVE : 0),
                 .object = region->object,
                 .offset = region->offset + region->size(),
                 .name = region->name,
                 .may_write = region->may_write}));
        return old_address;
    }
    if (!(flags & MREMAP_MAYMOVE)) return Error(ENOMEM);
    return move_region(*region, old_address, old_size, new_size, flags, 0);
}

}  // namespace coracle
