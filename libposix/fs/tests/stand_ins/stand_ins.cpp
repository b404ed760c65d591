// What the file systems use of the rest of the kernel, on the host.
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <unordered_map>

#include "kernel-min/lib/panic.h"
#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/frames.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/thread.h"
#include "libposix/files/file.h"
#include "libposix/process/credentials.h"

namespace coracle {

size_t frame_limit = SIZE_MAX;

namespace {
std::unordered_map<PhysAddr, int>& references() {
    static std::unordered_map<PhysAddr, int> map;
    return map;
}
}  // namespace

size_t frames_in_use() { return references().size(); }
FrameStatistics frame_statistics() { return {1024, 1024 - frames_in_use()}; }

Result<PhysAddr> allocate_frame() {
    if (frames_in_use() >= frame_limit) return Error(ENOMEM);
    void* memory = aligned_alloc(kPageSize, kPageSize);
    memset(memory, 0xa5, kPageSize);
    auto frame = reinterpret_cast<PhysAddr>(memory);
    references()[frame] = 1;
    return frame;
}

Result<PhysAddr> allocate_zeroed_frame() {
    PhysAddr frame = TRY(allocate_frame());
    memset(phys_to_virt(frame), 0, kPageSize);
    return frame;
}

// Frames that were never allocated are the image's: reserved memory, not counted here.
void get_frame(PhysAddr frame) {
    auto entry = references().find(frame);
    if (entry != references().end()) entry->second++;
}

void put_frame(PhysAddr frame) {
    auto entry = references().find(frame);
    if (entry == references().end() || --entry->second != 0) return;
    references().erase(entry);
    free(phys_to_virt(frame));
}

void* kernel_allocate(size_t size) { return operator new(size); }
void kernel_free(void* block) { operator delete(block); }

size_t copy_from_user_partial(void* to, uint64_t from, size_t size) {
    memcpy(to, reinterpret_cast<const void*>(from), size);
    return size;
}
size_t copy_to_user_partial(uint64_t to, const void* from, size_t size) {
    memcpy(reinterpret_cast<void*>(to), from, size);
    return size;
}
size_t clear_user_partial(uint64_t to, size_t size) {
    memset(reinterpret_cast<void*>(to), 0, size);
    return size;
}

extern "C" size_t copy_user_raw(void* to, const void* from, size_t size) {
    memcpy(to, from, size);
    return 0;
}

extern "C" size_t clear_user_raw(void* to, size_t size) {
    memset(to, 0, size);
    return 0;
}

void panic_assertion(const char*, const char*, int) { abort(); }

uint64_t realtime_ns() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

Thread* current_thread() {
    static Thread thread;
    return &thread;
}

// Locks and open files are tested in the VM.
Inode::~Inode() = default;
Result<RefPtr<File>> Inode::open(const Path&, uint32_t) { return Error(ENXIO); }

// Credentials, of which path walks need only this.
bool GroupList::contains(uint32_t group) const {
    for (uint32_t member : groups()) {
        if (member == group) return true;
    }
    return false;
}
bool Credentials::in_group(uint32_t group) const {
    return group == fsgid || (supplementary && supplementary->contains(group));
}

}  // namespace coracle
