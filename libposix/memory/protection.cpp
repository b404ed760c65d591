// mprotect(2): what the regions allow, and the page-table flags that follow from it.
#include "libposix/memory/address_space.h"

namespace coracle {

uint64_t AddressSpace::protection_flags(const Region& region, bool writable) const {
    uint64_t flags = pte::kUser | pte::kAccessed;
    if (region.protection != PROT_NONE) flags |= pte::kPresent;
    if (writable && (region.protection & PROT_WRITE)) flags |= pte::kWritable | pte::kDirty;
    if (!(region.protection & PROT_EXEC)) flags |= pte::kNoExecute;
    return flags;
}

// Entries keep their frames. A page that may be written becomes writable at once if nobody shares
// it; else the write fault decides.
void AddressSpace::apply_protection(Region& region) {
    StaleRange stale;
    (void)table_.for_each(
        region.start, region.end, [&](uint64_t address, uint64_t* entry, bool is_huge) {
            uint64_t old = *entry;
            PhysAddr frame = pte::address(old);
            bool own = !region.shared && is_frame_exclusive(frame);
            bool writable = own || (old & pte::kWritable);
            *entry = frame | protection_flags(region, writable) | (is_huge ? pte::kHuge : 0);
            if (!(old & pte::kPresent)) return;
            stale.add(address, address + (is_huge ? kHugePageSize : kPageSize));
        });
    flush(stale);
}

Result<void> AddressSpace::protect_region(Region& region, int protection) {
    if ((protection & PROT_WRITE) && !region.may_write) return Error(EACCES);
    bool was_data = region.counts_as_data();
    bool becomes_data =
        !was_data && !region.shared && !region.grows_down && (protection & PROT_WRITE);
    if (becomes_data) {
        if (data_bytes_ + region.size() > limits_.soft(Resource::kData)) return Error(ENOMEM);
        if (!region.no_reserve && region.size() / kPageSize > frame_statistics().total) {
            return Error(ENOMEM);
        }
        data_bytes_ += region.size();
    } else if (was_data && !(protection & PROT_WRITE)) {
        data_bytes_ -= region.size();
    }
    region.protection = protection;
    apply_protection(region);
    return {};
}

Result<void> AddressSpace::protect(uint64_t start, uint64_t size, int protection) {
    uint64_t end = start + page_up(size);
    TRY(split_at_borders(start, end));
    Result<void> result;
    for (uint64_t at = start; at < end;) {
        Region* region = find(at);
        if (!region) {
            result = Error(ENOMEM);
            break;
        }
        at = region->end;
        if (region->protection == protection) continue;
        result = protect_region(*region, protection);
        if (!result) break;
    }
    merge_around(start, end);
    return result;
}

}  // namespace coracle
