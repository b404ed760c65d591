// madvise(2), mincore(2), msync(2) and the mlock(2) family.
#include <sys/mman.h>

#include "kernel-min/lib/user_copy.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

uint64_t page_up(uint64_t value) { return (value + kPageSize - 1) & ~(kPageSize - 1); }
bool is_page_aligned(uint64_t value) { return (value & (kPageSize - 1)) == 0; }
AddressSpace& address_space() { return *current_process()->address_space; }

// Calls visit(region, start, end) for the mapped parts of a range. ENOMEM, afterwards, if the
// range has holes.
template <typename Visitor>
Result<void> for_each_part(uint64_t start, uint64_t end, Visitor visit) {
    bool has_hole = false;
    while (start < end) {
        Region* region = address_space().find_at_or_after(start);
        if (!region || region->start >= end) {
            has_hole = true;
            break;
        }
        if (region->start > start) {
            has_hole = true;
            start = region->start;
        }
        uint64_t stop = region->end < end ? region->end : end;
        TRY(visit(*region, start, stop));
        start = stop;
    }
    if (has_hole) return Error(ENOMEM);
    return {};
}

Result<void> drop_part(Region& region, uint64_t start, uint64_t end) {
    if (region.locked) return Error(EINVAL);
    address_space().discard(start, end - start);
    return {};
}

Result<void> populate_part(Region& region, uint64_t start, uint64_t end, bool write) {
    if (write && !(region.protection & PROT_WRITE)) return Error(EFAULT);
    address_space().populate(start, end - start, write);
    return {};
}

Result<void> set_huge_pages(uint64_t start, uint64_t end, bool wanted) {
    TRY(address_space().split_at_borders(start, end));
    auto result = for_each_part(start, end, [&](Region& region, uint64_t, uint64_t) {
        region.no_huge_pages = !wanted;
        return Result<void>();
    });
    address_space().merge_around(start, end);
    return result;
}

Result<void> set_locked(uint64_t start, uint64_t end, bool locked, bool populate) {
    TRY(address_space().split_at_borders(start, end));
    auto result = for_each_part(start, end, [&](Region& region, uint64_t low, uint64_t high) {
        region.locked = locked;
        if (populate && region.protection != PROT_NONE) {
            address_space().populate(low, high - low,
                                     (region.protection & PROT_WRITE) && !region.shared);
        }
        return Result<void>();
    });
    address_space().merge_around(start, end);
    return result;
}

// RLIMIT_MEMLOCK, which CAP_IPC_LOCK lifts.
Result<void> check_lock_limit(uint64_t bytes) {
    Process& process = *current_process();
    if (process.credentials.has_capability(kCapIpcLock)) return {};
    uint64_t limit = process.limits.soft(Resource::kLockedMemory);
    if (limit == 0) return Error(EPERM);
    if (bytes > limit) return Error(ENOMEM);
    return {};
}

Result<long> lock_range(unsigned long addr, size_t length, bool populate) {
    uint64_t start = addr & ~(kPageSize - 1);
    uint64_t size = page_up(length + (addr - start));
    TRY(check_lock_limit(size));
    if (start + size < start) return Error(EINVAL);
    if (size == 0) return 0;
    if (!is_user_range(start, size)) return Error(ENOMEM);
    TRY(set_locked(start, start + size, true, populate));
    return 0;
}

}  // namespace

Result<long> sys_madvise(unsigned long addr, size_t length, int advice) {
    constexpr int kPopulateRead = 22, kPopulateWrite = 23, kCollapse = 25;
    if (!is_page_aligned(addr) || page_up(length) < length) return Error(EINVAL);
    uint64_t end = addr + page_up(length);
    if (end < addr) return Error(EINVAL);
    switch (advice) {
        case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED:
        case MADV_DONTFORK: case MADV_DOFORK: case MADV_DONTDUMP: case MADV_DODUMP:
        case MADV_WIPEONFORK: case MADV_KEEPONFORK: case MADV_COLD: case MADV_PAGEOUT:
        case MADV_DONTNEED: case MADV_FREE: case MADV_HUGEPAGE: case MADV_NOHUGEPAGE:
        case MADV_REMOVE: case kPopulateRead: case kPopulateWrite: case kCollapse:
            break;
        default: return Error(EINVAL);  // and KSM's, which is not built in
    }
    if (length == 0) return 0;
    if (!is_user_range(addr, end - addr)) return Error(ENOMEM);
    switch (advice) {
        case MADV_DONTNEED: TRY(for_each_part(addr, end, drop_part)); return 0;
        case MADV_FREE:
            TRY(for_each_part(addr, end, [](Region& region, uint64_t start, uint64_t stop) {
                return region.object ? Result<void>(Error(EINVAL)) : drop_part(region, start, stop);
            }));
            return 0;
        case MADV_HUGEPAGE: case MADV_NOHUGEPAGE:
            TRY(set_huge_pages(addr, end, advice == MADV_HUGEPAGE));
            return 0;
        case kPopulateRead: case kPopulateWrite:
            TRY(for_each_part(addr, end, [&](Region& region, uint64_t start, uint64_t stop) {
                return populate_part(region, start, stop, advice == kPopulateWrite);
            }));
            return 0;
        case MADV_WIPEONFORK:
            TRY(for_each_part(addr, end, [](Region& region, uint64_t, uint64_t) {
                return region.object ? Result<void>(Error(EINVAL)) : Result<void>();
            }));
            return 0;
        case MADV_REMOVE: case kCollapse: return Error(EINVAL);
        default:  // hints: only the range is checked
            TRY(for_each_part(addr, end, [](Region&, uint64_t, uint64_t) { return Result<void>(); }));
            return 0;
    }
}

Result<long> sys_mincore(unsigned long addr, size_t length, UserOut<char> vec) {
    if (!is_page_aligned(addr)) return Error(EINVAL);
    if (page_up(length) < length || !is_user_range(addr, page_up(length))) return Error(ENOMEM);
    uint64_t end = addr + page_up(length);
    if (!is_user_range(vec.address(), (end - addr) / kPageSize)) return Error(EFAULT);
    for (uint64_t at = addr; at < end; at += kPageSize) {
        Region* region = address_space().find(at);
        if (!region) return Error(ENOMEM);
        // What a file has in the cache is in memory: all of it.
        bool resident = region->object || address_space().is_resident(at);
        TRY(vec.write(static_cast<char>(resident), (at - addr) / kPageSize));
    }
    return 0;
}

Result<long> sys_msync(unsigned long addr, size_t length, int flags) {
    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) return Error(EINVAL);
    if (!is_page_aligned(addr)) return Error(EINVAL);
    if ((flags & MS_ASYNC) && (flags & MS_SYNC)) return Error(EINVAL);
    if (addr + page_up(length) < addr) return Error(ENOMEM);
    // Mappings and read(2) share pages, and no file system here has a disk behind it.
    TRY(for_each_part(addr, addr + page_up(length), [&](Region& region, uint64_t, uint64_t) {
        bool busy = (flags & MS_INVALIDATE) && region.locked;
        return busy ? Result<void>(Error(EBUSY)) : Result<void>();
    }));
    return 0;
}

Result<long> sys_mlock(unsigned long addr, size_t length) { return lock_range(addr, length, true); }

Result<long> sys_mlock2(unsigned long addr, size_t length, int flags) {
    if (flags & ~MLOCK_ONFAULT) return Error(EINVAL);
    return lock_range(addr, length, !(flags & MLOCK_ONFAULT));
}

Result<long> sys_munlock(unsigned long addr, size_t length) {
    uint64_t start = addr & ~(kPageSize - 1);
    uint64_t size = page_up(length + (addr - start));
    if (start + size < start) return Error(EINVAL);
    if (size == 0) return 0;
    TRY(set_locked(start, start + size, false, false));
    return 0;
}

Result<long> sys_mlockall(int flags) {
    if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT) {
        return Error(EINVAL);
    }
    TRY(check_lock_limit(address_space().mapped_bytes()));
    address_space().set_lock_future(flags & MCL_FUTURE);
    if (!(flags & MCL_CURRENT)) return 0;
    for (Region& region : address_space().regions()) {
        region.locked = true;
        if (flags & MCL_ONFAULT || region.protection == PROT_NONE) continue;
        address_space().populate(region.start, region.size(),
                                 (region.protection & PROT_WRITE) && !region.shared);
    }
    return 0;
}

Result<long> sys_munlockall() {
    address_space().set_lock_future(false);
    for (Region& region : address_space().regions()) region.locked = false;
    return 0;
}

}  // namespace coracle
