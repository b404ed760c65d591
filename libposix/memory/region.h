// One mapping of an address space: Linux's vm_area_struct.
#pragma once

#include <sys/mman.h>

#include <boost/intrusive/set.hpp>
#include <cstdint>

#include "libposix/memory/memory_object.h"

namespace coracle {

// What is the same for all pages of a region; neighbours whose attributes differ stay apart.
struct RegionAttributes {
    int protection = PROT_NONE;  // PROT_READ | PROT_WRITE | PROT_EXEC
    bool shared = false;
    bool may_write = true;  // false: shared, of a file that is not open for writing
    bool grows_down = false;
    bool locked = false;
    bool lock_on_fault = false;  // MLOCK_ONFAULT: locked, but not brought in at once
    bool no_reserve = false;
    bool no_huge_pages = false, huge_pages = false;  // MADV_NOHUGEPAGE, MADV_HUGEPAGE
    bool dont_fork = false, wipe_on_fork = false, dont_dump = false;
    bool read_at_random = false, read_in_sequence = false;
    const char* name = nullptr;  // "[heap]", "[stack]": a literal; null for others

    bool operator==(const RegionAttributes&) const = default;
};

struct Region : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>>,
                RegionAttributes {
    uint64_t start = 0, end = 0;  // page-aligned, start < end
    RefPtr<MemoryObject> object;  // null: private anonymous memory
    uint64_t offset = 0;          // bytes into the object, of `start`

    uint64_t size() const { return end - start; }
    bool contains(uint64_t address) const { return address >= start && address < end; }
    uint64_t object_offset(uint64_t address) const { return offset + (address - start); }
    uint64_t object_index(uint64_t address) const { return object_offset(address) / kPageSize; }
    const RegionAttributes& attributes() const { return *this; }
    // Linux's classes of accounting: RLIMIT_DATA counts private writable memory.
    bool counts_as_data() const { return !shared && (protection & PROT_WRITE) && !grows_down; }

    // Whether `next`, which begins where this ends, could be one region with this.
    bool can_absorb(const Region& next) const {
        return end == next.start && attributes() == next.attributes() && object == next.object &&
               (!object || offset + size() == next.offset);
    }
};

struct RegionStart {
    using type = uint64_t;
    uint64_t operator()(const Region& region) const { return region.start; }
};
using RegionSet = boost::intrusive::set<Region, boost::intrusive::key_of_value<RegionStart>>;

}  // namespace coracle
