// mremap(2).
#include "libposix/memory/address_space.h"

namespace coracle {

namespace {

// Whether a huge entry can go from `from` to `to` as it is.
bool moves_whole(uint64_t from, uint64_t to, uint64_t end) {
    return from % kHugePageSize == 0 && to % kHugePageSize == 0 && from + kHugePageSize <= end;
}

}  // namespace

// Everything about a move that can fail: tables at the target, and cutting huge entries that
// cannot move whole.
Result<void> AddressSpace::prepare_move(uint64_t from, uint64_t to, uint64_t size) {
    uint64_t end = from + size;
    for (uint64_t at = table_.skip_empty(from, end); at < end; at = table_.skip_empty(at, end)) {
        bool is_huge = false;
        uint64_t target = to + (at - from);
        if (!table_.find(at, &is_huge)) {
            at += kPageSize;
            continue;
        }
        if (is_huge && moves_whole(at, target, end)) {
            uint64_t* place = TRY(table_.make_huge_entry(target));
            if (*place == 0) {
                at += kHugePageSize;
                continue;
            }
        }
        if (is_huge) TRY(table_.make_entry(at));  // splits it
        TRY(table_.make_entry(target));
        at += kPageSize;
    }
    return {};
}

// Moves page-table entries. Precondition: prepare_move() of the same arguments.
void AddressSpace::move_pages(uint64_t from, uint64_t to, uint64_t size) {
    StaleRange stale;
    (void)table_.for_each(from, from + size, [&](uint64_t address, uint64_t* entry, bool is_huge) {
        uint64_t target = to + (address - from);
        auto place = is_huge ? table_.make_huge_entry(target) : table_.make_entry(target);
        *place.value() = *entry;
        *entry = 0;
        stale.add(address, address + (is_huge ? kHugePageSize : kPageSize));
    });
    flush(stale);
}

Result<uint64_t> AddressSpace::move_region(Region& region, uint64_t old_address, uint64_t old_size,
                                           uint64_t new_size, int flags, uint64_t new_address) {
    RegionAttributes attributes = region.attributes();
    RefPtr<MemoryObject> object = region.object;
    uint64_t offset = region.object_offset(old_address);
    MapRequest request = {
        .address = new_address,
        .size = new_size,
        .protection = attributes.protection,
        .flags = (attributes.shared ? MAP_SHARED : MAP_PRIVATE) |
                 (flags & MREMAP_FIXED ? MAP_FIXED : 0) |
                 (attributes.no_reserve ? MAP_NORESERVE : 0),
        .object = object,
    };
    uint64_t start = TRY(choose_address(request, new_size));
    // The old pages count no more once they have moved, but for MREMAP_DONTUNMAP.
    bool keeps_old = (flags & MREMAP_DONTUNMAP) != 0;
    TRY(check_limits(request, start, keeps_old ? new_size : new_size - old_size));
    if (flags & MREMAP_FIXED) TRY(unmap(start, new_size));
    TRY(prepare_move(old_address, start, old_size));
    TRY(insert_region(attributes, object, offset, start, new_size));
    move_pages(old_address, start, old_size);
    if (!keeps_old && old_size > 0) TRY(unmap(old_address, old_size));
    return start;
}

Result<void> AddressSpace::grow_region(Region& region, uint64_t growth) {
    TRY(check_limits({.protection = region.protection,
                      .flags = (region.shared ? MAP_SHARED : MAP_PRIVATE) |
                               (region.no_reserve ? MAP_NORESERVE : 0),
                      .object = region.object},
                     region.end, growth));
    return insert_region(region.attributes(), region.object, region.offset + region.size(),
                         region.end, growth);
}

Result<uint64_t> AddressSpace::remap(uint64_t old_address, uint64_t old_size, uint64_t new_size,
                                     int flags, uint64_t new_address) {
    Region* region = find(old_address);
    if (!region) return Error(EFAULT);
    bool moves = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0;
    if (new_size < old_size) {
        TRY(unmap(old_address + new_size, old_size - new_size));
        old_size = new_size;
        region = find(old_address);
    }
    if (!moves && old_size == new_size && old_size != 0) return old_address;
    // An old size of 0 asks for a second view of shared memory.
    if (old_size == 0 && !region->shared) return Error(EINVAL);
    if (old_size > region->end - old_address) return Error(EFAULT);
    if (moves) return move_region(*region, old_address, old_size, new_size, flags, new_address);

    uint64_t end = old_address + old_size, new_end = old_address + new_size;
    if (region->end == end && old_size > 0 && is_user_range(old_address, new_size)) {
        Region* next = find_at_or_after(end);
        if (!next || next->start >= new_end) {
            TRY(grow_region(*region, new_end - end));
            return old_address;
        }
    }
    if (!(flags & MREMAP_MAYMOVE)) return Error(ENOMEM);
    return move_region(*region, old_address, old_size, new_size, flags, 0);
}

}  // namespace coracle
