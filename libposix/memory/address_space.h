// The application's half of memory: regions, the page table behind them, and the heap's break.
//
// Pages come on demand (page_fault.cpp). A page-table entry that is not zero holds a reference of
// its frame. One of a region without any access keeps the frame with its present bit off.
// Locks: none while there is one thread.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <memory>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/page_table.h"
#include "libposix/memory/region.h"
#include "libposix/process/resource_limits.h"

namespace coracle {

constexpr uint64_t kLowestAddress = 0x10000;  // vm.mmap_min_addr
constexpr size_t kMaxRegions = 65530;         // vm.max_map_count

constexpr uint64_t page_down(uint64_t value) {
    return value & ~(kPageSize - 1);
}
constexpr uint64_t page_up(uint64_t value) {
    return page_down(value + kPageSize - 1);
}
constexpr bool is_page_aligned(uint64_t value) {
    return (value & (kPageSize - 1)) == 0;
}

struct MapRequest {
    uint64_t address = 0;  // a hint, or the place with MAP_FIXED; page-aligned
    uint64_t size = 0;     // rounded up to pages
    int protection = PROT_NONE;
    int flags = MAP_PRIVATE;  // MAP_* of mmap(2)
    RefPtr<MemoryObject> object = nullptr;
    uint64_t offset = 0;
    const char* name = nullptr;
    bool may_write = true;  // whether mprotect(2) may add PROT_WRITE to a shared mapping
};

enum class FaultOutcome { kResolved, kNotMapped, kNoAccess, kBeyondObject, kOutOfMemory };

// What another room keeps with an address space, and what ends with it.
class AddressSpaceAttachment {
  public:
    virtual ~AddressSpaceAttachment() = default;
};

class AddressSpace : public RefCounted<AddressSpace>,
                     public boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    using List = boost::intrusive::list<AddressSpace, boost::intrusive::constant_time_size<false>>;
    static List& all();

    // Empty. `limits` outlives it (they are the process's). ENOMEM.
    static Result<RefPtr<AddressSpace>> create(const ResourceLimits& limits);
    ~AddressSpace();

    // Makes it the CPU's.
    void activate();

    // mmap(2) of what is already checked. ENOMEM, EEXIST (MAP_FIXED_NOREPLACE), EINVAL.
    Result<uint64_t> map(const MapRequest& request);
    // Precondition of the calls on ranges: page-aligned, within the half. ENOMEM.
    Result<void> unmap(uint64_t start, uint64_t size);
    // ENOMEM where nothing is mapped, EACCES; what lies before that has changed, as on Linux.
    Result<void> protect(uint64_t start, uint64_t size, int protection);
    // mremap(2) of what is already checked. EFAULT, ENOMEM, EINVAL.
    Result<uint64_t> remap(uint64_t old_address, uint64_t old_size, uint64_t new_size, int flags,
                           uint64_t new_address);
    // Drops the pages: MADV_DONTNEED. ENOMEM.
    Result<void> discard(uint64_t start, uint64_t end);

    // Calls change(RegionAttributes&) for what is mapped of the range. ENOMEM: something is not,
    // or there is no memory to cut a region.
    template <typename Change>
    Result<void> change_attributes(uint64_t start, uint64_t end, Change change) {
        TRY(split_at_borders(start, end));
        for (Region* region = find_at_or_after(start); region && region->start < end;
             region = find_at_or_after(region->end)) {
            change(static_cast<RegionAttributes&>(*region));
        }
        bool complete = is_fully_mapped(start, end);
        merge_around(start, end);
        if (!complete) return Error(ENOMEM);
        return {};
    }

    // Takes pages [first, end) of an object out of the page table, wherever they are mapped; with
    // `keep_copies`, a private region's own copies stay. ENOMEM.
    Result<void> drop_object_pages(const void* identity, uint64_t first, uint64_t end,
                                   bool keep_copies);

    // brk(2). set_break is execve's; change_break returns the break that holds afterwards.
    void set_break(uint64_t start);
    uint64_t change_break(uint64_t to);

    // A stack that grows down to RLIMIT_STACK, near the end of the half. Returns its top.
    Result<uint64_t> map_stack(bool executable);

    FaultOutcome resolve_fault(uint64_t address, bool write, bool execute);
    // Brings in the pages of a range, up to the first that cannot be had; the fault's outcome.
    FaultOutcome populate(uint64_t start, uint64_t end, bool write);
    // The same for locked regions and MAP_POPULATE: writable private memory gets its own pages.
    FaultOutcome populate_regions(uint64_t start, uint64_t end);
    // The frame behind a page, brought in for reading, with a reference of its own: who holds it
    // sees what the application writes there until the page is replaced. EFAULT, ENOMEM. May sleep.
    Result<PhysAddr> reference_page(uint64_t page);
    // Whether a page is there, without bringing it in: mincore(2).
    bool is_resident(const Region& region, uint64_t address);

    // The region that holds the address, or the first one behind it; null if there is none.
    Region* find_at_or_after(uint64_t address);
    Region* find(uint64_t address) {
        Region* region = find_at_or_after(address);
        return region && region->contains(address) ? region : nullptr;
    }
    RegionSet& regions() { return regions_; }
    // Whether every page of the range is mapped.
    bool is_fully_mapped(uint64_t start, uint64_t end);

    uint64_t resident_pages() const { return resident_pages_; }
    uint64_t mapped_bytes() const { return mapped_bytes_; }
    uint64_t data_bytes() const { return data_bytes_; }
    uint64_t peak_mapped_bytes() const { return peak_mapped_bytes_; }
    uint64_t peak_resident_pages() const { return peak_resident_pages_; }
    uint64_t locked_bytes() const;
    uint64_t break_start() const { return break_start_; }
    uint64_t break_end() const { return break_end_; }
    PageTable& page_table() { return table_; }

    std::unique_ptr<AddressSpaceAttachment> call_sites;  // syscall-table/rewriter/process_code.cpp
    bool lock_future = false, lock_future_on_fault = false;  // mlockall(MCL_FUTURE)

  private:
    // Addresses whose translations the TLB may still hold.
    struct StaleRange {
        uint64_t start = UINT64_MAX, end = 0;
        void add(uint64_t from, uint64_t to) {
            if (from < start) start = from;
            if (to > end) end = to;
        }
    };

    AddressSpace(PhysAddr root, const ResourceLimits& limits);

    uint64_t find_gap(uint64_t size, uint64_t alignment);
    static uint64_t find_gap_between(RegionSet& regions, uint64_t size, uint64_t alignment,
                                     uint64_t low, uint64_t high, uint64_t* largest_skipped);
    Result<uint64_t> choose_address(const MapRequest& request, uint64_t size);
    Result<void> check_limits(const MapRequest& request, uint64_t start, uint64_t size);
    Result<void> insert_region(const RegionAttributes& attributes,
                               const RefPtr<MemoryObject>& object, uint64_t offset, uint64_t start,
                               uint64_t size);
    Region* split(Region& region, uint64_t at);
    // Cuts regions and huge pages so that `start` and `end` are borders. ENOMEM.
    Result<void> split_at_borders(uint64_t start, uint64_t end);
    void merge_around(uint64_t start, uint64_t end);
    Result<void> protect_region(Region& region, int protection);

    // Precondition: no huge page sticks out of the range.
    void drop_pages(uint64_t start, uint64_t end, StaleRange& stale);
    void apply_protection(Region& region);
    uint64_t protection_flags(const Region& region, bool writable) const;
    Result<void> prepare_move(uint64_t from, uint64_t to, uint64_t size);
    void move_pages(uint64_t from, uint64_t to, uint64_t size);
    Result<uint64_t> move_region(Region& region, uint64_t old_address, uint64_t old_size,
                                 uint64_t new_size, int flags, uint64_t new_address);
    Result<void> grow_region(Region& region, uint64_t growth);

    bool grow_stack(Region& stack, uint64_t address);
    FaultOutcome fault_anonymous(Region& region, uint64_t page, bool write);
    bool try_huge_page(Region& region, uint64_t page, bool write);
    FaultOutcome fault_object(Region& region, uint64_t page, bool write);
    FaultOutcome fault_protected(Region& region, uint64_t page, uint64_t* entry, bool is_huge);
    void replace(uint64_t page, uint64_t* entry, uint64_t value);
    FaultOutcome copy_page(Region& region, uint64_t page, uint64_t* entry, bool is_huge);
    void map_ahead(Region& region, uint64_t page, uint64_t* entry);
    void map_around(Region& region, uint64_t page, uint64_t* entry);
    void install(uint64_t* entry, PhysAddr frame, uint64_t flags, uint64_t pages = 1);
    void count_resident(int64_t pages);
    // After present entries changed or went.
    void flush(const StaleRange& stale);

    PageTable table_;
    const ResourceLimits& limits_;
    RegionSet regions_;
    uint64_t mmap_base_ = 0;
    // No gap above search_top_ (and below mmap_base_) is larger than largest_skipped_.
    uint64_t search_top_ = 0, largest_skipped_ = 0;
    uint64_t break_start_ = 0, break_end_ = 0;
    uint64_t mapped_bytes_ = 0, data_bytes_ = 0, peak_mapped_bytes_ = 0;
    uint64_t resident_pages_ = 0, peak_resident_pages_ = 0;
};

}  // namespace coracle
