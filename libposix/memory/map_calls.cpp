// mmap(2), munmap(2), mprotect(2), mremap(2), brk(2), msync(2), pkeys(7).
#include <fcntl.h>

#include "kernel-min/memory/heap.h"
#include "libposix/memory/memory_calls.h"
#include "libposix/memory/shared_memory.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

constexpr int kMapType = 0x0f;  // MAP_TYPE
constexpr int kProtSem = 8;     // PROT_SEM: of no effect, but known
constexpr int kProtAll = PROT_READ | PROT_WRITE | PROT_EXEC;
// What Linux has always let pass with MAP_SHARED (LEGACY_MAP_MASK); MAP_SHARED_VALIDATE refuses
// the rest.
constexpr int kLegacyMapFlags = MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS |
                                MAP_DENYWRITE | MAP_EXECUTABLE | 0x4000000 | MAP_GROWSDOWN |
                                MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
                                MAP_STACK | MAP_HUGETLB | MAP_32BIT | 0x7c000000;

// The rules for a file, and its object.
Result<void> set_object(MapRequest& request, File& file) {
    if (request.flags & MAP_HUGETLB) return Error(EINVAL);  // not a hugetlbfs file
    switch (request.flags & kMapType) {
        case MAP_SHARED_VALIDATE:
            if (request.flags & ~(kLegacyMapFlags | kMapType)) return Error(EOPNOTSUPP);
            request.flags = (request.flags & ~kMapType) | MAP_SHARED;
            [[fallthrough]];
        case MAP_SHARED:
            if ((request.protection & PROT_WRITE) && !file.is_writable()) return Error(EACCES);
            request.may_write = file.is_writable();
            [[fallthrough]];
        case MAP_PRIVATE:
            if (!file.is_readable()) return Error(EACCES);
            break;
        default:
            return Error(EINVAL);
    }
    request.object = TRY(file.memory_object());
    if (!request.object->can_map(request.offset, page_up(request.size))) return Error(EINVAL);
    if (request.flags & MAP_GROWSDOWN) return Error(EINVAL);
    if (request.flags & MAP_SHARED) {
        auto seals = file.inode().seals();
        if (seals && (*seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
            if (request.protection & PROT_WRITE) return Error(EPERM);
            request.may_write = false;
        }
    }
    return {};
}

Result<void> set_anonymous(MapRequest& request) {
    if (request.flags & MAP_HUGETLB) return Error(ENOMEM);  // the pool of huge pages is empty
    request.offset = 0;
    switch (request.flags & kMapType) {
        case MAP_SHARED:
            if (request.flags & MAP_GROWSDOWN) return Error(EINVAL);
            request.object = TRY(make_ref<SharedMemory>(page_up(request.size)));
            return {};
        case MAP_PRIVATE:
            return {};
        default:
            return Error(EINVAL);
    }
}

Result<void> check_fixed_address(uint64_t address) {
    bool may =
        address >= kLowestAddress || current_credentials().has_capability(kCapSysRawio);
    if (!may) return Error(EPERM);
    return {};
}

Result<long> protect(uint64_t address, size_t length, int protection) {
    bool grows_down = (protection & PROT_GROWSDOWN) != 0,
         grows_up = (protection & PROT_GROWSUP) != 0;
    protection &= ~(PROT_GROWSDOWN | PROT_GROWSUP);
    if (grows_down && grows_up) return Error(EINVAL);
    if (!is_page_aligned(address)) return Error(EINVAL);
    if (length == 0) return 0;
    uint64_t end = address + page_up(length);
    if (end <= address) return Error(ENOMEM);
    if (protection & ~(kProtAll | kProtSem)) return Error(EINVAL);
    if (!is_user_range(address, end - address)) return Error(ENOMEM);
    AddressSpace& space = current_address_space();
    if (grows_down || grows_up) {
        Region* region = space.find_at_or_after(address);
        if (!region || region->start >= end) return Error(ENOMEM);
        if (grows_up || !region->grows_down) return Error(EINVAL);
        address = region->start;
    }
    TRY(space.protect(address, end - address, protection & kProtAll));
    return 0;
}

}  // namespace

Result<long> sys_mmap(unsigned long address, size_t length, int protection, int flags, int fd,
                      unsigned long offset) {
    if (!is_page_aligned(offset)) return Error(EINVAL);
    MapRequest request = {.address = address,
                          .size = length,
                          .protection = protection & kProtAll,
                          .flags = flags,
                          .offset = offset};
    BorrowedFile file = current_process()->descriptors->borrow(flags & MAP_ANONYMOUS ? -1 : fd);
    if (!(flags & MAP_ANONYMOUS) && !file) return Error(EBADF);
    if (length == 0) return Error(EINVAL);
    if (page_up(length) == 0) return Error(ENOMEM);
    if (offset + page_up(length) < offset) return Error(EOVERFLOW);
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (!is_user_range(address, page_up(length))) return Error(ENOMEM);
        if (!is_page_aligned(address)) return Error(EINVAL);
        TRY(check_fixed_address(address));
    }
    AddressSpace& space = current_address_space();
    bool locks = (flags & MAP_LOCKED) || space.lock_future;
    if ((flags & MAP_LOCKED) && !may_lock_memory()) return Error(EPERM);
    if (locks && !may_lock_bytes(page_up(length))) return Error(EAGAIN);

    TRY(file ? set_object(request, *file) : set_anonymous(request));
    uint64_t start = TRY(space.map(request));
    bool populates = (flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE ||
                     (flags & MAP_LOCKED) || (space.lock_future && !space.lock_future_on_fault);
    if (populates) (void)space.populate_regions(start, start + page_up(length));
    return static_cast<long>(start);
}

Result<long> sys_munmap(unsigned long address, size_t length) {
    if (!is_page_aligned(address) || !is_user_range(address, length)) return Error(EINVAL);
    if (length == 0) return Error(EINVAL);
    TRY(current_address_space().unmap(address, page_up(length)));
    return 0;
}

Result<long> sys_mprotect(unsigned long address, size_t length, int protection) {
    return protect(address, length, protection);
}

Result<long> sys_mremap(unsigned long address, size_t old_length, size_t new_length, int flags,
                        unsigned long new_address) {
    uint64_t old_size = page_up(old_length), new_size = page_up(new_length);
    bool may_move = (flags & MREMAP_MAYMOVE) != 0;
    if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE | MREMAP_DONTUNMAP)) return Error(EINVAL);
    if ((flags & MREMAP_FIXED) && !may_move) return Error(EINVAL);
    if ((flags & MREMAP_DONTUNMAP) && (!may_move || old_size != new_size)) return Error(EINVAL);
    if (!is_page_aligned(address) || new_size == 0) return Error(EINVAL);
    AddressSpace& space = current_address_space();
    Region* region = space.find(address);
    if (!region) return Error(EFAULT);
    if (!is_user_range(address, old_size)) return Error(EFAULT);
    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        if (!is_page_aligned(new_address) || !is_user_range(new_address, new_size)) {
            return Error(EINVAL);
        }
        if (address + old_size > new_address && new_address + new_size > address) {
            return Error(EINVAL);
        }
        if (flags & MREMAP_FIXED) TRY(check_fixed_address(new_address));
    }
    bool is_locked = region->locked;
    if (is_locked && new_size > old_size && !may_lock_bytes(new_size - old_size)) {
        return Error(EAGAIN);
    }
    uint64_t start = TRY(space.remap(address, old_size, new_size, flags, new_address));
    if (is_locked && new_size > old_size) {
        (void)space.populate_regions(start + old_size, start + new_size);
    }
    return static_cast<long>(start);
}

Result<long> sys_brk(unsigned long address) {
    return static_cast<long>(current_address_space().change_break(address));
}

// Files are in memory as long as they exist, so there is nothing to write back.
Result<long> sys_msync(unsigned long address, size_t length, int flags) {
    if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) return Error(EINVAL);
    if (!is_page_aligned(address)) return Error(EINVAL);
    if ((flags & MS_ASYNC) && (flags & MS_SYNC)) return Error(EINVAL);
    uint64_t end = address + page_up(length);
    if (end < address) return Error(ENOMEM);
    AddressSpace& space = current_address_space();
    bool complete = true;
    for (uint64_t at = address; at < end;) {
        Region* region = space.find_at_or_after(at);
        if (!region || region->start >= end) return Error(ENOMEM);
        if (region->start > at) complete = false;
        if ((flags & MS_INVALIDATE) && region->locked) return Error(EBUSY);
        at = region->end;
    }
    if (!complete) return Error(ENOMEM);
    return 0;
}

// Protection keys, as Linux has them on a CPU without.

Result<long> sys_pkey_mprotect(unsigned long address, size_t length, int protection, int key) {
    if (key != -1) return Error(EINVAL);
    return protect(address, length, protection);
}

Result<long> sys_pkey_alloc(unsigned long, unsigned long) {
    return Error(EINVAL);
}

Result<long> sys_pkey_free(int) {
    return Error(EINVAL);
}

}  // namespace coracle
