// mmap(2), munmap(2), mprotect(2), mremap(2), brk(2).
#include <fcntl.h>
#include <sys/mman.h>

#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/heap.h"
#include "libposix/memory/shared_memory.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

constexpr int kKnownProtection = PROT_READ | PROT_WRITE | PROT_EXEC;
constexpr int kHugeTlb = 0x40000;

uint64_t page_up(uint64_t value) { return (value + kPageSize - 1) & ~(kPageSize - 1); }
bool is_page_aligned(uint64_t value) { return (value & (kPageSize - 1)) == 0; }

AddressSpace& address_space() { return *current_process()->address_space; }

// The object behind a file mapping, with mmap(2)'s checks of the descriptor.
struct FileMapping {
    RefPtr<MemoryObject> object;
    bool may_write;
};
Result<FileMapping> object_of_file(int fd, int protection, int flags) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (!file->is_readable()) return Error(EACCES);
    bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
    if (shared && (protection & PROT_WRITE) && !file->is_writable()) return Error(EACCES);
    return FileMapping{TRY(file->memory_object()), !shared || file->is_writable()};
}

}  // namespace

Result<long> sys_mmap(unsigned long addr, size_t length, int prot, int flags, int fd,
                      unsigned long offset) {
    if (!is_page_aligned(offset)) return Error(EINVAL);
    RefPtr<MemoryObject> object;
    bool may_write = true;
    int type = flags & MAP_TYPE;
    if (!(flags & MAP_ANONYMOUS)) {
        if (flags & kHugeTlb) return Error(EINVAL);  // not a file of hugetlbfs
        FileMapping mapping = TRY(object_of_file(fd, prot, flags));
        object = std::move(mapping.object);
        may_write = mapping.may_write;
    } else if (flags & kHugeTlb) {
        return Error(ENOMEM);  // no huge pages are set aside
    }
    if (length == 0) return Error(EINVAL);
    if (page_up(length) < length || page_up(length) > kUserEnd) return Error(ENOMEM);
    if (offset + page_up(length) < offset) return Error(EOVERFLOW);
    if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE) {
        return Error(EINVAL);
    }
    if (type == MAP_SHARED_VALIDATE && (flags & MAP_SYNC)) return Error(EOPNOTSUPP);
    if ((flags & MAP_GROWSDOWN) && object) return Error(EINVAL);
    bool shared = type != MAP_PRIVATE;
    if (shared && !object) {
        object = TRY(make_shared_memory(page_up(length)));
        offset = 0;
    }
    AddressSpace& space = address_space();
    int kept = MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_GROWSDOWN |
               MAP_LOCKED | MAP_32BIT;
    uint64_t start = TRY(space.map({.address = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)
                                                   ? addr
                                                   : addr & ~(kPageSize - 1),
                                    .size = length,
                                    .protection = prot,
                                    .flags = (flags & kept) | (shared ? MAP_SHARED : MAP_PRIVATE),
                                    .object = std::move(object),
                                    .offset = offset,
                                    .may_write = may_write}));
    if (flags & (MAP_POPULATE | MAP_LOCKED) && !(flags & MAP_NONBLOCK)) {
        space.populate(start, page_up(length), (prot & PROT_WRITE) && !shared);
    }
    return static_cast<long>(start);
}

Result<long> sys_munmap(unsigned long addr, size_t length) {
    if (!is_page_aligned(addr) || length == 0 || page_up(length) < length ||
        !is_user_range(addr, page_up(length))) {
        return Error(EINVAL);
    }
    TRY(address_space().unmap(addr, length));
    return 0;
}

Result<long> sys_mprotect(unsigned long addr, size_t length, int prot) {
    constexpr int kGrows = PROT_GROWSDOWN | PROT_GROWSUP;
    if ((prot & kGrows) == kGrows || !is_page_aligned(addr)) return Error(EINVAL);
    if (length == 0) return 0;
    if (page_up(length) < length || addr + page_up(length) < addr) return Error(ENOMEM);
    if (prot & ~(kKnownProtection | kGrows | 8 /* PROT_SEM */)) return Error(EINVAL);
    if (!is_user_range(addr, page_up(length))) return Error(ENOMEM);
    uint64_t end = addr + page_up(length);
    Region* region = address_space().find(addr);
    if (!region) return Error(ENOMEM);
    if (prot & PROT_GROWSUP) return Error(EINVAL);
    if (prot & PROT_GROWSDOWN) {
        if (!region->grows_down) return Error(EINVAL);
        addr = region->start;
    }
    for (uint64_t at = addr; region && region->start < end && region->contains(at);
         at = region->end, region = address_space().find(at)) {
        if (!region->may_write && (prot & PROT_WRITE)) return Error(EACCES);
        if (at >= end) break;
    }
    TRY(address_space().protect(addr, end - addr, prot & kKnownProtection));
    return 0;
}

Result<long> sys_mremap(unsigned long addr, size_t old_length, size_t new_length, int flags,
                        unsigned long new_addr) {
    if (flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) return Error(EINVAL);
    if ((flags & MREMAP_FIXED) && !(flags & MREMAP_MAYMOVE)) return Error(EINVAL);
    if ((flags & MREMAP_DONTUNMAP) &&
        (!(flags & MREMAP_MAYMOVE) || page_up(old_length) != page_up(new_length))) {
        return Error(EINVAL);
    }
    if (!is_page_aligned(addr) || page_up(new_length) == 0) return Error(EINVAL);
    if (page_up(new_length) > kUserEnd) return Error(EINVAL);
    if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        if (!is_page_aligned(new_addr) || !is_user_range(new_addr, page_up(new_length))) {
            return Error(EINVAL);
        }
    }
    return static_cast<long>(
        TRY(address_space().remap(addr, old_length, new_length, flags, new_addr)));
}

Result<long> sys_brk(unsigned long addr) {
    return static_cast<long>(address_space().change_break(addr));
}

}  // namespace coracle
