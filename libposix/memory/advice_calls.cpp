// madvise(2), process_madvise(2), mincore(2).
#include "kernel-min/lib/user_ptr.h"
#include "libposix/memory/memory_calls.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

constexpr int kMadvDontneedLocked = 24, kMadvCollapse = 25;  // newer than the C library's header

bool is_known_advice(int advice) {
    return (advice >= MADV_NORMAL && advice <= MADV_DONTNEED) ||
           (advice >= MADV_FREE && advice <= MADV_POPULATE_WRITE) ||
           advice == kMadvDontneedLocked || advice == kMadvCollapse;
}

void set_advice(RegionAttributes& attributes, int advice) {
    switch (advice) {
        case MADV_NORMAL:
            attributes.read_at_random = attributes.read_in_sequence = false;
            break;
        case MADV_RANDOM:
            attributes.read_at_random = true;
            attributes.read_in_sequence = false;
            break;
        case MADV_SEQUENTIAL:
            attributes.read_in_sequence = true;
            attributes.read_at_random = false;
            break;
        case MADV_HUGEPAGE:
            attributes.huge_pages = true;
            attributes.no_huge_pages = false;
            break;
        case MADV_NOHUGEPAGE:
            attributes.no_huge_pages = true;
            attributes.huge_pages = false;
            break;
        case MADV_DONTFORK:
            attributes.dont_fork = true;
            break;
        case MADV_DOFORK:
            attributes.dont_fork = false;
            break;
        case MADV_WIPEONFORK:
            attributes.wipe_on_fork = true;
            break;
        case MADV_KEEPONFORK:
            attributes.wipe_on_fork = false;
            break;
        case MADV_DONTDUMP:
            attributes.dont_dump = true;
            break;
        case MADV_DODUMP:
            attributes.dont_dump = false;
            break;
    }
}

Result<void> remove_pages(AddressSpace& space, Region& region, uint64_t start, uint64_t end) {
    if (region.locked || !region.object) return Error(EINVAL);
    if (!region.shared || !region.may_write) return Error(EACCES);
    TRY(region.object->punch_hole(region.object_offset(start), end - start));
    return space.discard(start, end);
}

// The part [start, end) of one region.
Result<void> advise(AddressSpace& space, Region& region, uint64_t start, uint64_t end, int advice) {
    switch (advice) {
        case MADV_DONTNEED:
            if (region.locked) return Error(EINVAL);
            return space.discard(start, end);
        case kMadvDontneedLocked:
            return space.discard(start, end);
        case MADV_FREE:
            // Lazily is allowed, not asked for.
            if (region.object || region.locked) return Error(EINVAL);
            return space.discard(start, end);
        case MADV_REMOVE:
            return remove_pages(space, region, start, end);
        case MADV_WIPEONFORK:
            if (region.object || region.shared) return Error(EINVAL);
            return {};
        case MADV_COLD:
        case MADV_PAGEOUT:
            if (region.locked) return Error(EINVAL);
            return {};
        case kMadvCollapse:
            return Error(EINVAL);  // as for a range without a page that could be collapsed
        default:
            return {};
    }
}

Result<void> populate(AddressSpace& space, uint64_t start, uint64_t end, bool write) {
    switch (space.populate(start, end, write)) {
        case FaultOutcome::kResolved:
            return {};
        case FaultOutcome::kNotMapped:
        case FaultOutcome::kOutOfMemory:
            return Error(ENOMEM);
        case FaultOutcome::kNoAccess:
            return Error(EINVAL);
        case FaultOutcome::kBeyondObject:
            return Error(EFAULT);
    }
    __builtin_unreachable();
}

Result<long> advise_range(uint64_t start, size_t length, int advice) {
    if (!is_known_advice(advice) || !is_page_aligned(start)) return Error(EINVAL);
    uint64_t size = page_up(length), end = start + size;
    if ((length != 0 && size == 0) || end < start) return Error(EINVAL);
    if (start == end) return 0;
    if (!is_user_range(start, size)) return Error(ENOMEM);
    AddressSpace& space = current_address_space();
    if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
        TRY(populate(space, start, end, advice == MADV_POPULATE_WRITE));
        return 0;
    }
    // Holes are passed over, and told at the end.
    for (Region* region = space.find_at_or_after(start); region && region->start < end;
         region = space.find_at_or_after(region->end)) {
        uint64_t low = region->start > start ? region->start : start;
        uint64_t high = region->end < end ? region->end : end;
        TRY(advise(space, *region, low, high, advice));
    }
    if (advice == MADV_DONTNEED || advice == MADV_FREE) {
        if (!space.is_fully_mapped(start, end)) return Error(ENOMEM);
        return 0;
    }
    TRY(space.change_attributes(
        start, end, [advice](RegionAttributes& attributes) { set_advice(attributes, advice); }));
    return 0;
}

}  // namespace

Result<long> sys_madvise(unsigned long address, size_t length, int advice) {
    return advise_range(address, length, advice);
}

Result<long> sys_mincore(unsigned long address, size_t length, UserOut<char> vector) {
    if (!is_page_aligned(address)) return Error(EINVAL);
    if (!is_user_range(address, length)) return Error(ENOMEM);
    uint64_t pages = page_up(length) / kPageSize;
    if (!is_user_range(vector.address(), pages)) return Error(EFAULT);
    AddressSpace& space = current_address_space();
    char states[256];
    for (uint64_t done = 0; done < pages;) {
        size_t count = 0;
        for (; count < sizeof(states) && done + count < pages; count++) {
            uint64_t page = address + (done + count) * kPageSize;
            Region* region = space.find(page);
            if (!region) {
                if (count == 0) return Error(ENOMEM);
                break;
            }
            states[count] = space.is_resident(*region, page) ? 1 : 0;
        }
        TRY((vector + done).write_array(states, count));
        done += count;
    }
    return 0;
}

}  // namespace coracle
