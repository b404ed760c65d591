#include "libposix/memory/shared_memory.h"

#include <cstring>

namespace coracle {

SharedMemory::~SharedMemory() {
    pages_.clear(0, size_ / kPageSize, [](uint64_t frame) { put_frame(frame); });
}

Result<PhysAddr> SharedMemory::page(uint64_t index, bool) {
    if (index >= size_ / kPageSize) return Error(ENXIO);
    uint64_t frame = pages_.get(index);
    if (frame == 0) {
        frame = TRY(allocate_zeroed_frame());
        auto stored = pages_.set(index, frame);
        if (!stored) {
            put_frame(frame);
            return stored.error();
        }
        resident_pages_++;
    }
    get_frame(frame);
    return frame;
}

PhysAddr SharedMemory::cached_page(uint64_t index) {
    if (index >= size_ / kPageSize) return 0;
    uint64_t frame = pages_.get(index);
    if (frame != 0) get_frame(frame);
    return frame;
}

Result<void> SharedMemory::punch_hole(uint64_t offset, uint64_t size) {
    pages_.clear(offset / kPageSize, (offset + size) / kPageSize,
                 [this](uint64_t frame) {
                     put_frame(frame);
                     resident_pages_--;
                 });
    return {};
}

// Linux backs such memory with an unlinked file of its internal tmpfs.
void SharedMemory::describe(char* buffer, size_t size, uint32_t* device_major,
                            uint32_t* device_minor, uint64_t* inode) {
    constexpr char kName[] = "/dev/zero (deleted)";
    *device_major = 0;
    *device_minor = 1;
    *inode = 1;
    size_t length = size < sizeof(kName) ? size : sizeof(kName);
    memcpy(buffer, kName, length);
    buffer[length - 1] = '\0';
}

}  // namespace coracle
