#include "libposix/memory/kernel_pages.h"

#include <cstring>

#include "kernel-min/core/layout.h"

namespace coracle {

Result<PhysAddr> KernelPages::page(uint64_t index, bool for_write) {
    if (index >= (size_ + kPageSize - 1) / kPageSize) return Error(ENXIO);
    if (for_write) return Error(EACCES);  // nobody may share a writable view of the kernel
    PhysAddr frame = reinterpret_cast<uint64_t>(start_) - KERNEL_BASE + index * kPageSize;
    get_frame(frame);
    return frame;
}

void KernelPages::describe(char* buffer, size_t size, uint32_t* device_major,
                           uint32_t* device_minor, uint64_t* inode) {
    *device_major = *device_minor = 0;
    *inode = 0;
    size_t length = strlen(name_);
    if (length >= size) length = size - 1;
    memcpy(buffer, name_, length);
    buffer[length] = '\0';
}

}  // namespace coracle
