#include "libposix/memory/page_fault.h"

#include <cstring>

#include "kernel-min/lib/user_copy.h"
#include "libposix/memory/address_space.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

namespace {

constexpr uint64_t kStackGuardGap = 256 * kPageSize;
constexpr uint64_t kFaultAround = 16 * kPageSize;  // as Linux's fault_around_bytes

// What a read of untouched anonymous memory sees until the first write.
alignas(kPageSize) const uint8_t zero_page[kPageSize] = {};
PhysAddr zero_page_frame() { return reinterpret_cast<uint64_t>(zero_page) - 0xffffffff80000000; }

// A huge page must leave the guest some room: small VMs do with small pages.
bool has_room_for_huge_page() {
    FrameStatistics frames = frame_statistics();
    return frames.free > frames.total / 8 + 4 * 512;
}

}  // namespace

void AddressSpace::install(uint64_t* entry, PhysAddr frame, uint64_t flags, uint64_t pages) {
    if (*entry == 0) count_resident(static_cast<int64_t>(pages));
    *entry = frame | flags;
}

bool AddressSpace::grow_stack(Region& stack, uint64_t address) {
    if (!stack.grows_down) return false;
    uint64_t start = address & ~(kPageSize - 1);
    auto it = regions_.iterator_to(stack);
    if (it != regions_.begin()) {
        const Region& below = *std::prev(it);
        if (below.protection != PROT_NONE && below.end + kStackGuardGap > start) return false;
        if (below.end > start) return false;
    }
    if (stack.end - start > limits_.soft(Resource::kStack)) return false;
    uint64_t growth = stack.start - start;
    if (mapped_bytes_ + growth > limits_.soft(Resource::kAddressSpace)) return false;
    mapped_bytes_ += growth;
    stack.start = start;  // keeps the order: nothing lies between
    return true;
}

FaultOutcome AddressSpace::resolve_fault(uint64_t address, bool write, bool execute) {
    Region* region = find_at_or_after(address);
    if (!region) return FaultOutcome::kNotMapped;
    if (!region->contains(address) && !grow_stack(*region, address)) {
        return FaultOutcome::kNotMapped;
    }
    int needed = write ? PROT_WRITE : execute ? PROT_EXEC : PROT_READ | PROT_WRITE | PROT_EXEC;
    if (!(region->protection & needed)) return FaultOutcome::kNoAccess;

    uint64_t page = address & ~(kPageSize - 1);
    bool is_huge = false;
    uint64_t* entry = table_.find(page, &is_huge);
    if (entry && (*entry & pte::kPresent)) {
        if (write && !(*entry & pte::kWritable)) {
            return break_sharing(*region, page, entry, is_huge);
        }
        flush(page);  // the TLB was behind
        return FaultOutcome::kResolved;
    }
    if (region->object) return fault_object(*region, page, write);
    return fault_anonymous(*region, page, write);
}

bool AddressSpace::try_huge_page(Region& region, uint64_t page) {
    uint64_t start = page & ~(kHugePageSize - 1);
    if (start < region.start || start + kHugePageSize > region.end || region.no_huge_pages ||
        region.grows_down || !has_room_for_huge_page()) {
        return false;
    }
    auto entry = table_.make_huge_entry(start);
    if (!entry || *entry.value()) return false;  // small pages are there already
    auto frames = allocate_frames(kHugePageOrder);
    if (!frames) return false;
    auto* bytes = phys_to_virt<uint8_t>(frames.value());
    for (size_t offset = 0; offset < kHugePageSize; offset += kPageSize) clear_page(bytes + offset);
    install(entry.value(), frames.value(), protection_flags(region, true) | pte::kHuge, 512);
    return true;
}

FaultOutcome AddressSpace::fault_anonymous(Region& region, uint64_t page, bool write) {
    if (write && try_huge_page(region, page)) return FaultOutcome::kResolved;
    auto entry = table_.make_entry(page);
    if (!entry) return FaultOutcome::kOutOfMemory;
    if (!write) {
        install(entry.value(), zero_page_frame(), protection_flags(region, false));
        return FaultOutcome::kResolved;
    }
    auto frame = allocate_zeroed_frame();
    if (!frame) return FaultOutcome::kOutOfMemory;
    install(entry.value(), frame.value(), protection_flags(region, true));
    return FaultOutcome::kResolved;
}

FaultOutcome AddressSpace::fault_object(Region& region, uint64_t page, bool write) {
    auto frame = region.object->page(region.object_index(page), region.shared && write);
    if (!frame) {
        return frame.error_code() == ENOMEM ? FaultOutcome::kOutOfMemory
                                            : FaultOutcome::kBeyondObject;
    }
    auto entry = table_.make_entry(page);
    if (!entry) {
        put_frame(frame.value());
        return FaultOutcome::kOutOfMemory;
    }
    if (region.shared || !write) {
        install(entry.value(), frame.value(), protection_flags(region, write));
        if (!write) map_around(region, page);
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

// Pages around a read fault that are at hand: a trap saved costs less than they do.
void AddressSpace::map_around(Region& region, uint64_t page) {
    uint64_t start = page & ~(kFaultAround - 1);
    uint64_t end = start + kFaultAround;
    if (start < region.start) start = region.start;
    if (end > region.end) end = region.end;
    for (uint64_t address = start; address < end; address += kPageSize) {
        if (address == page) continue;
        auto entry = table_.make_entry(address);
        if (!entry) return;
        if (*entry.value()) continue;
        auto frame = region.object->page(region.object_index(address), false);
        if (!frame) return;
        install(entry.value(), frame.value(), protection_flags(region, false));
    }
}

// A write to a page that is mapped without the right to write: copy-on-write, or the first write
// through a shared mapping.
FaultOutcome AddressSpace::break_sharing(Region& region, uint64_t page, uint64_t* entry,
                                         bool is_huge) {
    PhysAddr old = pte::address(*entry);
    if (region.shared) {
        auto frame = region.object->page(region.object_index(page), true);
        if (!frame) {
            return frame.error_code() == ENOMEM ? FaultOutcome::kOutOfMemory
                                                : FaultOutcome::kBeyondObject;
        }
        *entry = frame.value() | protection_flags(region, true);
        put_frame(old);
        flush(page);
        return FaultOutcome::kResolved;
    }
    if (is_frame_exclusive(old)) {
        *entry = old | protection_flags(region, true) | (is_huge ? pte::kHuge : 0);
        flush(page);
        return FaultOutcome::kResolved;
    }
    if (is_huge) {
        auto small = table_.make_entry(page);  // splits it
        if (!small) return FaultOutcome::kOutOfMemory;
        entry = small.value();
        old = pte::address(*entry);
    }
    auto copy = allocate_frame();
    if (!copy) return FaultOutcome::kOutOfMemory;
    if (old == zero_page_frame()) {
        clear_page(phys_to_virt(copy.value()));
    } else {
        memcpy(phys_to_virt(copy.value()), phys_to_virt(old), kPageSize);
    }
    *entry = copy.value() | protection_flags(region, true);
    put_frame(old);
    flush(page);
    return FaultOutcome::kResolved;
}

void AddressSpace::populate(uint64_t address, uint64_t size, bool write) {
    uint64_t end = address + size;
    for (; address < end; address += kPageSize) {
        uint64_t* entry = table_.find(address);
        if (entry && (*entry & pte::kPresent) && (!write || (*entry & pte::kWritable))) continue;
        if (resolve_fault(address, write, false) != FaultOutcome::kResolved) return;
    }
}

bool AddressSpace::is_resident(uint64_t address) {
    uint64_t* entry = table_.find(address);
    return entry && (*entry & pte::kPresent);
}

bool handle_page_fault(TrapFrame& frame) {
    Process* process = current_process();
    uint64_t address = frame.cr2;
    FaultOutcome outcome = FaultOutcome::kNotMapped;
    if (process && process->address_space && address < kUserEnd) {
        outcome = process->address_space->resolve_fault(
            address, frame.error_code & kFaultWrite, frame.error_code & kFaultFetch);
    }
    if (outcome == FaultOutcome::kResolved) return true;
    if (!frame.from_application()) return false;
    switch (outcome) {
        case FaultOutcome::kNotMapped: force_signal_fault(kSigSegv, kSegvMaperr, address); break;
        case FaultOutcome::kNoAccess: force_signal_fault(kSigSegv, kSegvAccerr, address); break;
        case FaultOutcome::kBeyondObject: force_signal_fault(kSigBus, kBusAdrerr, address); break;
        case FaultOutcome::kOutOfMemory: force_signal(kSigKill); break;
        case FaultOutcome::kResolved: break;
    }
    return true;
}

}  // namespace coracle
