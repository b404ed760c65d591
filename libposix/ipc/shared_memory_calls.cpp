// shmget, shmat, shmdt, shmctl.
#include <sys/mman.h>
#include <sys/shm.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/ipc/shared_segment.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint32_t kRead = 4, kWrite = 2, kExecute = 1;
constexpr int kShmStatAny = 15;                           // SHM_STAT_ANY
constexpr uint32_t kShmDest = 01000, kShmLocked = 02000;  // in shm_perm.mode

void fill(const SharedSegment& segment, shmid_ds& to) {
    memset(&to, 0, sizeof(to));
    segment.fill(to.shm_perm);
    if (segment.to_be_removed) to.shm_perm.mode |= kShmDest;
    if (segment.is_locked) to.shm_perm.mode |= kShmLocked;
    to.shm_segsz = segment.size;
    to.shm_atime = segment.attach_time;
    to.shm_dtime = segment.detach_time;
    to.shm_ctime = segment.change_time;
    to.shm_cpid = segment.creator_pid;
    to.shm_lpid = segment.last_pid;
    to.shm_nattch = segment.attachments;
}

Result<long> limits(uint64_t address) {
    shminfo info = {};
    info.shmmax = SharedSegment::kMaxSize;
    info.shmmin = 1;
    info.shmmni = info.shmseg = SharedSegment::kMaxSegments;
    info.shmall = SharedSegment::kMaxPages;
    TRY(UserOut<shminfo>(address).write(info));
    return std::max(shared_segments().last_index(), 0);
}

Result<long> usage(uint64_t address) {
    const IpcTable<SharedSegment>& table = shared_segments();
    shm_info info = {};
    info.used_ids = static_cast<int>(table.count());
    for (int i = table.last_index(); i >= 0; i--) {
        SharedSegment* segment = table.at_index(static_cast<unsigned>(i));
        if (!segment) continue;
        const uint64_t pages = (segment->size + kPageSize - 1) / kPageSize;
        info.shm_tot += pages;
        info.shm_rss += segment->memory->resident_pages();
    }
    TRY(UserOut<shm_info>(address).write(info));
    return std::max(table.last_index(), 0);
}

Result<long> status(int id, int command, uint64_t address) {
    RefPtr<SharedSegment> segment;
    if (command == IPC_STAT) {
        segment = TRY(shared_segments().find(id));
    } else {
        segment = RefPtr<SharedSegment>(shared_segments().at_index(static_cast<unsigned>(id)));
        if (!segment) return Error(EINVAL);
    }
    if (command != kShmStatAny) TRY(segment->check_access(kRead));
    shmid_ds to;
    fill(*segment, to);
    TRY(UserOut<shmid_ds>(address).write(to));
    return command == IPC_STAT ? 0 : segment->id;
}

Result<long> set_lock(SharedSegment& segment, bool locked) {
    const Credentials& who = current_credentials();
    if (!who.has_capability(kCapIpcLock)) {
        if (who.euid != segment.uid && who.euid != segment.creator_uid) return Error(EPERM);
        if (locked && current_process()->limits.soft(Resource::kLockedMemory) == 0) {
            return Error(EPERM);
        }
    }
    segment.is_locked = locked;  // nothing is ever swapped out
    return 0;
}

}  // namespace

Result<long> sys_shmget(int key, size_t size, int flags) {
    return TRY(shared_segments().get(
        key, flags,
        [&]() -> Result<RefPtr<SharedSegment>> {
            if (size < 1 || size > SharedSegment::kMaxSize) return Error(EINVAL);
            if (flags & SHM_HUGETLB) return Error(ENOMEM);  // no pages are set aside for it
            return SharedSegment::create(size);
        },
        [&](SharedSegment& segment) -> Result<void> {
            if (size > segment.size) return Error(EINVAL);
            return {};
        }));
}

Result<long> sys_shmat(int id, unsigned long addr, int flags) {
    if (id < 0) return Error(EINVAL);
    uint64_t address = addr;
    if (address % kPageSize != 0) {
        if (!(flags & SHM_RND)) return Error(EINVAL);
        address -= address % kPageSize;
        if (address == 0 && (flags & SHM_REMAP)) return Error(EINVAL);
    }
    if ((flags & SHM_REMAP) && addr == 0) return Error(EINVAL);
    RefPtr<SharedSegment> segment = TRY(shared_segments().find(id));
    uint32_t wanted = kRead;
    int protection = PROT_READ;
    if (!(flags & SHM_RDONLY)) {
        wanted |= kWrite;
        protection |= PROT_WRITE;
    }
    if (flags & SHM_EXEC) {
        wanted |= kExecute;
        protection |= PROT_EXEC;
    }
    TRY(segment->check_access(wanted));
    const uint64_t size = page_up(segment->size);
    if (address != 0 && !is_user_range(address, size)) return Error(EINVAL);
    MapRequest request = {
        .address = address, .size = size, .protection = protection, .flags = MAP_SHARED};
    if (address != 0) request.flags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
    request.object = TRY(make_ref<SegmentAttachment>(segment));
    request.may_write = !(flags & SHM_RDONLY);
    Result<uint64_t> mapped = current_process()->address_space->map(request);
    if (!mapped.ok()) return Error(mapped.error_code() == EEXIST ? EINVAL : mapped.error_code());
    return static_cast<long>(*mapped);
}

// The pages of an attachment may lie in several regions, and some may be gone.
Result<long> sys_shmdt(unsigned long addr) {
    if (addr % kPageSize != 0) return Error(EINVAL);
    AddressSpace& space = *current_process()->address_space;
    RefPtr<MemoryObject> attachment;
    uint64_t end = 0;
    for (Region* region = space.find_at_or_after(addr); region;
         region = space.find_at_or_after(region->end)) {
        if (!region->object || !region->object->is_segment_attachment()) continue;
        if (region->start - region->offset != addr) continue;
        attachment = region->object;
        end = addr + page_up(static_cast<SegmentAttachment&>(*attachment).size());
        break;
    }
    if (!attachment) return Error(EINVAL);
    for (uint64_t at = addr; at < end;) {
        Region* region = space.find_at_or_after(at);
        if (!region || region->start >= end) break;
        at = region->end;
        if (region->object != attachment) continue;
        TRY(space.unmap(region->start, region->end - region->start));
    }
    return 0;
}

Result<long> sys_shmctl(int id, int command, unsigned long buf) {
    if (id < 0 || command < 0) return Error(EINVAL);
    switch (command) {
        case IPC_INFO:
            return limits(buf);
        case SHM_INFO:
            return usage(buf);
        case IPC_STAT:
        case SHM_STAT:
        case kShmStatAny:
            return status(id, command, buf);
        case IPC_SET:
        case IPC_RMID:
        case SHM_LOCK:
        case SHM_UNLOCK:
            break;
        default:
            return Error(EINVAL);
    }
    shmid_ds given;
    if (command == IPC_SET) given = TRY(UserIn<shmid_ds>(buf).read());
    RefPtr<SharedSegment> segment = TRY(shared_segments().find(id));
    if (command == SHM_LOCK || command == SHM_UNLOCK)
        return set_lock(*segment, command == SHM_LOCK);
    TRY(segment->check_owner());
    if (command == IPC_RMID) {
        segment->remove();
        return 0;
    }
    TRY(segment->change(given.shm_perm));
    segment->change_time = ipc_time();
    return 0;
}

}  // namespace coracle
