// mlock(2) and its family. Memory never goes away once it is there, so locking brings pages in,
// and counts against RLIMIT_MEMLOCK.
#include "libposix/memory/memory_calls.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

Result<long> lock_range(uint64_t address, size_t length, bool on_fault) {
    if (!may_lock_memory()) return Error(EPERM);
    uint64_t start = page_down(address);
    uint64_t end = start + page_up(length + (address - start));
    if (end < start) return Error(EINVAL);
    AddressSpace& space = current_address_space();
    if (!may_lock_bytes(end - start)) {
        // What is locked already does not count twice.
        uint64_t already = 0;
        for (Region* region = space.find_at_or_after(start); region && region->start < end;
             region = space.find_at_or_after(region->end)) {
            if (!region->locked) continue;
            already += (region->end < end ? region->end : end) -
                       (region->start > start ? region->start : start);
        }
        if (!may_lock_bytes(end - start - already)) return Error(ENOMEM);
    }
    if (start == end) return 0;
    if (!is_user_range(start, end - start)) return Error(ENOMEM);
    TRY(space.change_attributes(start, end, [&](RegionAttributes& attributes) {
        attributes.locked = true;
        attributes.lock_on_fault = on_fault;
    }));
    if (on_fault) return 0;
    switch (space.populate_regions(start, end)) {
        case FaultOutcome::kResolved:
            return 0;
        case FaultOutcome::kOutOfMemory:
            return Error(EAGAIN);
        default:
            return Error(ENOMEM);
    }
}

}  // namespace

bool may_lock_memory() {
    const Process& process = *current_process();
    return process.limits.soft(Resource::kLockedMemory) != 0 ||
           current_credentials().has_capability(kCapIpcLock);
}

bool may_lock_bytes(uint64_t more) {
    const Process& process = *current_process();
    if (current_credentials().has_capability(kCapIpcLock)) return true;
    uint64_t limit = process.limits.soft(Resource::kLockedMemory);
    return more <= limit && process.address_space->locked_bytes() <= limit - more;
}

Result<long> sys_mlock(unsigned long address, size_t length) {
    return lock_range(address, length, false);
}

Result<long> sys_mlock2(unsigned long address, size_t length, int flags) {
    if (flags & ~MLOCK_ONFAULT) return Error(EINVAL);
    return lock_range(address, length, (flags & MLOCK_ONFAULT) != 0);
}

Result<long> sys_munlock(unsigned long address, size_t length) {
    uint64_t start = page_down(address);
    uint64_t end = start + page_up(length + (address - start));
    if (end < start) return Error(EINVAL);
    if (start == end) return 0;
    if (!is_user_range(start, end - start)) return Error(ENOMEM);
    TRY(current_address_space().change_attributes(start, end, [](RegionAttributes& attributes) {
        attributes.locked = attributes.lock_on_fault = false;
    }));
    return 0;
}

Result<long> sys_mlockall(int flags) {
    constexpr int kAll = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if (flags == 0 || (flags & ~kAll) || flags == MCL_ONFAULT) return Error(EINVAL);
    if (!may_lock_memory()) return Error(EPERM);
    AddressSpace& space = current_address_space();
    const Process& process = *current_process();
    bool fits = space.mapped_bytes() <= process.limits.soft(Resource::kLockedMemory) ||
                current_credentials().has_capability(kCapIpcLock);
    if ((flags & MCL_CURRENT) && !fits) return Error(ENOMEM);
    bool on_fault = (flags & MCL_ONFAULT) != 0;
    space.lock_future = (flags & MCL_FUTURE) != 0;
    space.lock_future_on_fault = space.lock_future && on_fault;
    if (!(flags & MCL_CURRENT)) return 0;
    for (Region& region : space.regions()) {
        region.locked = true;
        region.lock_on_fault = on_fault;
    }
    // As on Linux, what cannot be brought in now is no error.
    if (!on_fault) (void)space.populate_regions(0, kUserEnd);
    return 0;
}

Result<long> sys_munlockall() {
    AddressSpace& space = current_address_space();
    space.lock_future = space.lock_future_on_fault = false;
    for (Region& region : space.regions()) region.locked = region.lock_on_fault = false;
    return 0;
}

}  // namespace coracle
