// How a page comes to be there: zeros, the object's page, or a copy.
#include <cstring>

#include "kernel-min/sched/tlb.h"
#include "libposix/memory/address_space.h"

namespace coracle {

namespace {

constexpr uint64_t kStackGuardGap = 256 * kPageSize;
constexpr uint64_t kFaultAroundPages = 16;  // as Linux's fault_around_bytes
constexpr uint64_t kSequentialPages = 8;

// What a read of untouched anonymous memory sees until the first write. Our reference keeps it
// from ever being exclusive to a mapping.
PhysAddr zero_page;
Result<PhysAddr> share_zero_page() {
    if (!zero_page) zero_page = TRY(allocate_zeroed_frame());
    get_frame(zero_page);
    return zero_page;
}

void clear_huge_page(PhysAddr start) {
    auto* bytes = phys_to_virt<uint8_t>(start);
    for (size_t offset = 0; offset < kHugePageSize; offset += kPageSize) clear_page(bytes + offset);
}

// The same for 2 MiB at once.
PhysAddr huge_zero_page;
Result<PhysAddr> share_huge_zero_page() {
    if (!huge_zero_page) {
        huge_zero_page = TRY(allocate_frames(kHugePageOrder));
        clear_huge_page(huge_zero_page);
    }
    for (size_t at = 0; at < kHugePageSize; at += kPageSize) get_frame(huge_zero_page + at);
    return huge_zero_page;
}

bool is_zero_page(PhysAddr frame) {
    return frame == zero_page || (huge_zero_page && frame - huge_zero_page < kHugePageSize);
}

// Memory beyond what was asked for must leave the guest some room: small VMs do without.
bool has_memory_to_spare() {
    FrameStatistics frames = frame_statistics();
    return frames.free > frames.total / 8 + 4 * 512;
}

FaultOutcome outcome_of(const Error& error) {
    return error.code == ENOMEM ? FaultOutcome::kOutOfMemory : FaultOutcome::kBeyondObject;
}

}  // namespace

void AddressSpace::install(uint64_t* entry, PhysAddr frame, uint64_t flags, uint64_t pages) {
    if (*entry == 0) count_resident(static_cast<int64_t>(pages));
    *entry = frame | flags;
}

bool AddressSpace::grow_stack(Region& stack, uint64_t address) {
    if (!stack.grows_down) return false;
    uint64_t start = page_down(address);
    auto it = regions_.iterator_to(stack);
    if (it != regions_.begin()) {
        const Region& below = *std::prev(it);
        bool needs_gap = below.protection != PROT_NONE && !below.grows_down;
        if (below.end + (needs_gap ? kStackGuardGap : 0) > start) return false;
    }
    uint64_t growth = stack.start - start;
    if (start < kLowestAddress || stack.end - start > limits_.soft(Resource::kStack) ||
        mapped_bytes_ + growth > limits_.soft(Resource::kAddressSpace)) {
        return false;
    }
    mapped_bytes_ += growth;
    if (mapped_bytes_ > peak_mapped_bytes_) peak_mapped_bytes_ = mapped_bytes_;
    stack.start = start;  // keeps the order: nothing lies between
    return true;
}

FaultOutcome AddressSpace::resolve_fault(uint64_t address, bool write, bool execute) {
    Region* region = find_at_or_after(address);
    if (!region || (!region->contains(address) && !grow_stack(*region, address))) {
        return FaultOutcome::kNotMapped;
    }
    int needed = write ? PROT_WRITE : execute ? PROT_EXEC : PROT_READ | PROT_WRITE | PROT_EXEC;
    if (!(region->protection & needed)) return FaultOutcome::kNoAccess;

    uint64_t page = page_down(address);
    bool is_huge = false;
    uint64_t* entry = table_.find(page, &is_huge);
    if (entry) {
        if (write && !(*entry & pte::kWritable)) {
            return fault_protected(*region, page, entry, is_huge);
        }
        StaleRange stale;
        stale.add(page, page + kPageSize);
        flush(stale);  // the TLB was behind
        return FaultOutcome::kResolved;
    }
    if (region->object) return fault_object(*region, page, write);
    return fault_anonymous(*region, page, write);
}

bool AddressSpace::try_huge_page(Region& region, uint64_t page, bool write) {
    uint64_t start = page & ~(kHugePageSize - 1);
    if (start < region.start || start + kHugePageSize > region.end || region.no_huge_pages ||
        region.grows_down || !has_memory_to_spare()) {
        return false;
    }
    auto entry = table_.make_huge_entry(start);
    if (!entry || *entry.value()) return false;  // small pages are there already
    auto frames = write ? allocate_frames(kHugePageOrder) : share_huge_zero_page();
    if (!frames) return false;
    if (write) clear_huge_page(frames.value());
    install(entry.value(), frames.value(), protection_flags(region, write) | pte::kHuge, 512);
    return true;
}

FaultOutcome AddressSpace::fault_anonymous(Region& region, uint64_t page, bool write) {
    if (try_huge_page(region, page, write)) return FaultOutcome::kResolved;
    auto entry = table_.make_entry(page);
    if (!entry) return FaultOutcome::kOutOfMemory;
    auto frame = write ? allocate_zeroed_frame() : share_zero_page();
    if (!frame) return FaultOutcome::kOutOfMemory;
    install(entry.value(), frame.value(), protection_flags(region, write));
    if (write) map_ahead(region, page, entry.value());
    return FaultOutcome::kResolved;
}

// Memory that is written page after page gets some pages at once: a trap costs as much as several
// of them. `entry` is that of `page`.
void AddressSpace::map_ahead(Region& region, uint64_t page, uint64_t* entry) {
    uint64_t in_table = page >> 12 & 511;
    bool is_sequential = in_table > 0 && page > region.start && (entry[-1] & pte::kWritable);
    if (!is_sequential || region.lock_on_fault || !has_memory_to_spare()) return;
    for (uint64_t i = 1; i < kSequentialPages; i++) {
        if (in_table + i > 511 || page + i * kPageSize >= region.end || entry[i]) return;
        auto frame = allocate_zeroed_frame();
        if (!frame) return;
        install(&entry[i], frame.value(), protection_flags(region, true));
    }
}

FaultOutcome AddressSpace::fault_object(Region& region, uint64_t page, bool write) {
    // A shared mapping that may be written maps the object's own page from the start: one that is
    // borrowed from a read-only image would miss later writes.
    bool for_write = region.shared && (write || region.may_write);
    auto frame = region.object->page(region.object_index(page), for_write);
    if (!frame) return outcome_of(frame.error());
    auto entry = table_.make_entry(page);
    if (!entry) {
        put_frame(frame.value());
        return FaultOutcome::kOutOfMemory;
    }
    if (region.shared || !write) {
        install(entry.value(), frame.value(), protection_flags(region, region.shared && for_write));
        if (!for_write) map_around(region, page, entry.value());
        return FaultOutcome::kResolved;
    }
    auto copy = allocate_frame();
    if (copy) {
        memcpy(phys_to_virt(copy.value()), phys_to_virt(frame.value()), kPageSize);
        install(entry.value(), copy.value(), protection_flags(region, true));
    }
    put_frame(frame.value());
    return copy ? FaultOutcome::kResolved : FaultOutcome::kOutOfMemory;
}

// Pages around a read fault that are at hand: a trap saved costs more than they do. All of them
// have their entries in one table, `entry` being that of `page`.
void AddressSpace::map_around(Region& region, uint64_t page, uint64_t* entry) {
    constexpr uint64_t kWindow = kFaultAroundPages * kPageSize;
    uint64_t start = page & ~(kWindow - 1);
    uint64_t end = start + kWindow < region.end ? start + kWindow : region.end;
    if (start < region.start) start = region.start;
    uint64_t flags = protection_flags(region, false) & ~pte::kAccessed;
    uint64_t* around = entry - (page - start) / kPageSize;
    for (uint64_t address = start; address < end; address += kPageSize, around++) {
        if (*around) continue;
        PhysAddr frame = region.object->cached_page(region.object_index(address));
        if (frame) install(around, frame, flags);
    }
}

// The page fault itself has dropped the page's TLB entry here (Intel SDM 3A, 4.10.4.1), and the
// old frame holds the same bytes until the write; but other CPUs must see the write, and nobody may
// read the old frame once it is given back.
void AddressSpace::replace(uint64_t page, uint64_t* entry, uint64_t value) {
    *entry = value;
    flush_other_tlbs(table_.root(), page, page + kPageSize);
}

// A write to a page that is mapped without the right to write: copy-on-write, or the first write
// through a shared mapping.
FaultOutcome AddressSpace::fault_protected(Region& region, uint64_t page, uint64_t* entry,
                                           bool is_huge) {
    PhysAddr old = pte::address(*entry);
    if (region.shared) {
        auto frame = region.object->page(region.object_index(page), true);
        if (!frame) return outcome_of(frame.error());
        replace(page, entry, frame.value() | protection_flags(region, true));
        put_frame(old);
        return FaultOutcome::kResolved;
    }
    if (is_frame_exclusive(old)) {
        *entry = old | protection_flags(region, true) | (is_huge ? pte::kHuge : 0);
        return FaultOutcome::kResolved;
    }
    return copy_page(region, page, entry, is_huge);
}

FaultOutcome AddressSpace::copy_page(Region& region, uint64_t page, uint64_t* entry, bool is_huge) {
    if (is_huge && pte::address(*entry) == huge_zero_page && has_memory_to_spare()) {
        auto frames = allocate_frames(kHugePageOrder);
        if (frames) {
            clear_huge_page(frames.value());
            replace(page, entry, frames.value() | protection_flags(region, true) | pte::kHuge);
            put_frames(huge_zero_page, kHugePageOrder);
            return FaultOutcome::kResolved;
        }
    }
    if (is_huge) {
        auto small = table_.make_entry(page);  // splits it
        if (!small) return FaultOutcome::kOutOfMemory;
        entry = small.value();
    }
    PhysAddr old = pte::address(*entry);
    auto copy = allocate_frame();
    if (!copy) return FaultOutcome::kOutOfMemory;
    if (is_zero_page(old)) {
        clear_page(phys_to_virt(copy.value()));
    } else {
        memcpy(phys_to_virt(copy.value()), phys_to_virt(old), kPageSize);
    }
    replace(page, entry, copy.value() | protection_flags(region, true));
    put_frame(old);
    return FaultOutcome::kResolved;
}

FaultOutcome AddressSpace::populate(uint64_t start, uint64_t end, bool write) {
    while (start < end) {
        bool is_huge = false;
        uint64_t* entry = table_.find(start, &is_huge);
        bool is_there = entry && (*entry & pte::kPresent) && (!write || (*entry & pte::kWritable));
        if (!is_there) {
            FaultOutcome outcome = resolve_fault(start, write, false);
            if (outcome != FaultOutcome::kResolved) return outcome;
        }
        start = is_huge ? (start | (kHugePageSize - 1)) + 1 : start + kPageSize;
    }
    return FaultOutcome::kResolved;
}

FaultOutcome AddressSpace::populate_regions(uint64_t start, uint64_t end) {
    for (Region* region = find_at_or_after(start); region && region->start < end;
         region = find_at_or_after(region->end)) {
        uint64_t low = region->start > start ? region->start : start;
        uint64_t high = region->end < end ? region->end : end;
        if (region->protection == PROT_NONE) continue;
        bool write = (region->protection & PROT_WRITE) && !region->shared;
        FaultOutcome outcome = populate(low, high, write);
        if (outcome != FaultOutcome::kResolved) return outcome;
    }
    return FaultOutcome::kResolved;
}

bool AddressSpace::is_resident(const Region& region, uint64_t address) {
    if (table_.find(address)) return true;
    if (!region.object) return false;
    PhysAddr frame = region.object->cached_page(region.object_index(address));
    if (!frame) return false;
    put_frame(frame);
    return true;
}

Result<PhysAddr> AddressSpace::reference_page(uint64_t page) {
    for (;;) {
        bool is_huge = false;
        const uint64_t* entry = table_.find(page, &is_huge);
        if (entry && *entry & pte::kPresent) {
            const PhysAddr frame =
                pte::address(*entry) + (is_huge ? page & (kHugePageSize - 1) : 0);
            get_frame(frame);
            return frame;
        }
        const FaultOutcome outcome = resolve_fault(page, false, false);
        if (outcome == FaultOutcome::kOutOfMemory) return Error(ENOMEM);
        if (outcome != FaultOutcome::kResolved) return Error(EFAULT);
    }
}

}  // namespace coracle
