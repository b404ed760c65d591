// Where a new mapping goes: top-down from a random base, as on Linux.
#include "libposix/memory/address_space.h"

namespace coracle {

namespace {

constexpr uint64_t kStackGuardGap = 256 * kPageSize;  // Linux's stack_guard_gap
constexpr uint64_t k32BitLow = 0x40000000, k32BitHigh = 0x80000000;

uint64_t guarded_start(const Region& region) {
    if (!region.grows_down) return region.start;
    return region.start > kStackGuardGap ? region.start - kStackGuardGap : 0;
}

}  // namespace

// The highest place for `size` bytes in [low, high); 0 if there is none. *largest_skipped grows to
// the largest gap that was passed over.
uint64_t AddressSpace::find_gap_between(RegionSet& regions, uint64_t size, uint64_t alignment,
                                        uint64_t low, uint64_t high, uint64_t* largest_skipped) {
    uint64_t end = high;
    auto it = regions.lower_bound(high);
    if (it != regions.end() && guarded_start(*it) < high) end = guarded_start(*it);
    for (;;) {
        bool first = it == regions.begin();
        if (!first) --it;
        uint64_t start = first || it->end < low ? low : it->end;
        if (end > start && end - start >= size) {
            uint64_t found = (end - size) & ~(alignment - 1);
            if (found >= start) {
                uint64_t left = end - (found + size);
                if (left > *largest_skipped) *largest_skipped = left;
                return found;
            }
        }
        if (end > start && end - start > *largest_skipped) *largest_skipped = end - start;
        if (first || it->start <= low) return 0;
        if (guarded_start(*it) < end) end = guarded_start(*it);
    }
}

// Starts where the last search ended, unless a gap above may do.
uint64_t AddressSpace::find_gap(uint64_t size, uint64_t alignment) {
    if (size <= largest_skipped_) {
        search_top_ = mmap_base_;
        largest_skipped_ = 0;
    }
    uint64_t found =
        find_gap_between(regions_, size, alignment, kLowestAddress, search_top_, &largest_skipped_);
    if (found) {
        search_top_ = found;
        return found;
    }
    uint64_t skipped = 0;
    return find_gap_between(regions_, size, kPageSize, kLowestAddress, kUserEnd, &skipped);
}

Result<uint64_t> AddressSpace::choose_address(const MapRequest& request, uint64_t size) {
    uint64_t hint = request.address;
    if (request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (!is_user_range(hint, size)) return Error(ENOMEM);
        if (!is_page_aligned(hint)) return Error(EINVAL);
        if (request.flags & MAP_FIXED_NOREPLACE) {
            Region* next = find_at_or_after(hint);
            if (next && next->start < hint + size) return Error(EEXIST);
        }
        return hint;
    }
    if (request.flags & MAP_32BIT) {
        uint64_t skipped = 0;
        uint64_t found =
            find_gap_between(regions_, size, kPageSize, k32BitLow, k32BitHigh, &skipped);
        if (!found) return Error(ENOMEM);
        return found;
    }
    hint = page_down(hint);
    if (hint) {
        if (hint < kLowestAddress) hint = kLowestAddress;
        if (is_user_range(hint, size)) {
            Region* next = find_at_or_after(hint);
            bool is_free = !next || guarded_start(*next) >= hint + size;
            if (is_free) return hint;
        }
    }
    // Whole huge pages go where they can be mapped as such.
    bool wants_huge = !request.object && size % kHugePageSize == 0;
    uint64_t found = find_gap(size, wants_huge ? kHugePageSize : kPageSize);
    if (!found) return Error(ENOMEM);
    return found;
}

}  // namespace coracle
