// The application's half of memory: regions, the page table behind them, and the heap's break.
//
// Pages come on demand (page_fault.cpp). A page-table entry that is not zero holds a reference of
// its frame. One of a region without any access keeps the frame with its present bit off.
// Locks: none while there is one thread.
#pragma once

#include <cstdint>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/memory/page_table.h"
#include "libposix/memory/region.h"
#include "libposix/process/resource_limits.h"

namespace coracle {

struct MapRequest {
    uint64_t address = 0;  // a hint, or the place with MAP_FIXED; page-aligned
    uint64_t size = 0;     // rounded up to pages
    int protection = PROT_NONE;
    int flags = MAP_PRIVATE;       // MAP_* of mmap(2)
    RefPtr<MemoryObject> object = nullptr;
    uint64_t offset = 0;
    const char* name = nullptr;
    bool may_write = true;
};

enum class FaultOutcome { kResolved, kNotMapped, kNoAccess, kBeyondObject, kOutOfMemory };

class AddressSpace : public RefCounted<AddressSpace> {
  public:
    // Empty. `limits` outlives it (they are the process's). ENOMEM.
    static Result<RefPtr<AddressSpace>> create(const ResourceLimits& limits);
    ~AddressSpace();

    // Makes it the CPU's.
    void activate();

    // mmap(2) of what is already checked. ENOMEM, EEXIST (MAP_FIXED_NOREPLACE), EINVAL.
    Result<uint64_t> map(const MapRequest& request);
    Result<void> unmap(uint64_t address, uint64_t size);                     // ENOMEM
    Result<void> protect(uint64_t address, uint64_t size, int protection);   // ENOMEM, EACCES
    // mremap(2): EFAULT, ENOMEM, EINVAL.
    Result<uint64_t> remap(uint64_t old_address, uint64_t old_size, uint64_t new_size, int flags,
                           uint64_t new_address);
    // Drops the pages of private memory: MADV_DONTNEED.
    void discard(uint64_t address, uint64_t size);

    // brk(2). set_break is execve's; change_break returns the break that holds afterwards.
    void set_break(uint64_t start);
    uint64_t change_break(uint64_t to);

    // A stack that grows down to RLIMIT_STACK, near the end of the half. Returns its top.
    Result<uint64_t> map_stack(bool executable);

    FaultOutcome resolve_fault(uint64_t address, bool write, bool execute);
    // Brings in the pages of a range: MAP_POPULATE. Stops at what cannot be had.
    void populate(uint64_t address, uint64_t size, bool write);
    // Whether a page is there, without bringing it in: mincore(2).
    bool is_resident(uint64_t address);

    // The region that holds the address, or the first one behind it; null if there is none.
    Region* find_at_or_after(uint64_t address);
    Region* find(uint64_t address) {
        Region* region = find_at_or_after(address);
        return region && region->contains(address) ? region : nullptr;
    }
    RegionSet& regions() { return regions_; }
    // Splits regions so that `start` and `end` are borders. ENOMEM.
    Result<void> split_at_borders(uint64_t start, uint64_t end);
    void merge_around(uint64_t start, uint64_t end);
    // Whether every page of the range is mapped.
    bool is_fully_mapped(uint64_t start, uint64_t end);

    // mlockall(2) with MCL_FUTURE.
    void set_lock_future(bool value) { lock_future_ = value; }

    uint64_t resident_pages() const { return resident_pages_; }
    uint64_t mapped_bytes() const { return mapped_bytes_; }
    uint64_t peak_mapped_bytes() const { return peak_mapped_bytes_; }
    uint64_t peak_resident_pages() const { return peak_resident_pages_; }
    uint64_t break_start() const { return break_start_; }
    uint64_t break_end() const { return break_end_; }
    bool is_current() const;
    PageTable& page_table() { return table_; }

  private:
    AddressSpace(PhysAddr root, const ResourceLimits& limits);

    uint64_t find_gap(uint64_t size, uint64_t low, uint64_t high);
    Result<uint64_t> choose_address(const MapRequest& request, uint64_t size);
    Result<void> check_limits(const MapRequest& request, uint64_t size);
    Result<void> add_region(const MapRequest& request, uint64_t start, uint64_t end);
    Region* split(Region& region, uint64_t at);
    void erase(Region& region);
    void drop_pages(uint64_t start, uint64_t end);
    void apply_protection(Region& region);
    uint64_t protection_flags(const Region& region, bool writable) const;
    Result<void> move_pages(uint64_t from, uint64_t to, uint64_t size);
    Result<uint64_t> move_region(Region& region, uint64_t old_address, uint64_t old_size,
                                 uint64_t new_size, int flags, uint64_t new_address);

    bool grow_stack(Region& stack, uint64_t address);
    FaultOutcome fault_anonymous(Region& region, uint64_t page, bool write);
    bool try_huge_page(Region& region, uint64_t page);
    FaultOutcome fault_object(Region& region, uint64_t page, bool write);
    FaultOutcome break_sharing(Region& region, uint64_t page, uint64_t* entry, bool is_huge);
    void map_around(Region& region, uint64_t page);
    void install(uint64_t* entry, PhysAddr frame, uint64_t flags, uint64_t pages = 1);
    void count_resident(int64_t pages);
    // After a present entry changed.
    void flush(uint64_t address);
    void flush_range(uint64_t start, uint64_t end);

    PageTable table_;
    const ResourceLimits& limits_;
    RegionSet regions_;
    uint64_t mmap_base_ = 0;
    uint64_t break_start_ = 0, break_end_ = 0;
    uint64_t mapped_bytes_ = 0, data_bytes_ = 0, peak_mapped_bytes_ = 0;
    bool lock_future_ = false;
    uint64_t resident_pages_ = 0, peak_resident_pages_ = 0;
};

}  // namespace coracle
