// One mapping of an address space: Linux's vm_area_struct.
#pragma once

#include <sys/mman.h>

#include <boost/intrusive/set.hpp>
#include <cstdint>

#include "libposix/memory/memory_object.h"

namespace coracle {

struct Region : boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
    uint64_t start = 0, end = 0;  // page-aligned, start < end
    int protection = PROT_NONE;   // PROT_READ | PROT_WRITE | PROT_EXEC
    bool shared = false;
    bool grows_down = false;
    bool locked = false;
    bool no_reserve = false;
    bool no_huge_pages = false;
    bool may_write = true;        // false: a shared mapping of a file open for reading only
    const char* name = nullptr;   // "[heap]", "[stack]": a literal; null for others
    RefPtr<MemoryObject> object;  // null: private anonymous memory
    uint64_t offset = 0;          // bytes into the object, of `start`

    uint64_t size() const { return end - start; }
    bool contains(uint64_t address) const { return address >= start && address < end; }
    uint64_t object_index(uint64_t address) const {
        return (offset + (address - start)) / kPageSize;
    }
    bool operator<(const Region& other) const { return start < other.start; }

    // Whether `next`, which begins where this ends, could be one region with this.
    bool can_absorb(const Region& next) const {
        return end == next.start && protection == next.protection && shared == next.shared &&
               grows_down == next.grows_down && locked == next.locked &&
               no_reserve == next.no_reserve && no_huge_pages == next.no_huge_pages &&
               may_write == next.may_write &&
               name == next.name && object == next.object &&
               (!object || offset + size() == next.offset);
    }
};

struct RegionStart {
    using type = uint64_t;
    uint64_t operator()(const Region& region) const { return region.start; }
};
using RegionSet = boost::intrusive::set<Region, boost::intrusive::key_of_value<RegionStart>>;

}  // namespace coracle
