// What a mapping maps: the pages of a file, of shared memory, or of a device.
#pragma once

#include <cstdint>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "kernel-min/memory/frames.h"

namespace coracle {

class MemoryObject : public RefCounted<MemoryObject> {
  public:
    virtual ~MemoryObject() = default;

    // The frame of one page, with a reference for the caller. The same page gives the same frame
    // as long as it is in the cache: mappings and read(2)/write(2) share it. `for_write`: the
    // caller will write through a shared mapping, so a page borrowed from a read-only image is
    // replaced first. Errors: ENXIO beyond the end of the object (SIGBUS), ENOMEM, EIO.
    virtual Result<PhysAddr> page(uint64_t index, bool for_write) = 0;

    // The frame that page(index, false) would give, with a reference, if it is in memory already;
    // else 0. Takes no memory and never sleeps: for pages around a fault, and mincore(2).
    virtual PhysAddr cached_page(uint64_t /*index*/) { return 0; }

    // Objects with the same identity show the same pages: the inode, for mappings of files.
    virtual const void* identity() const { return this; }

    // Makes the pages read as zeros: MADV_REMOVE. The caller may write the object.
    virtual Result<void> punch_hole(uint64_t /*offset*/, uint64_t /*size*/) {
        return Error(EOPNOTSUPP);
    }

    // Whether mmap(2) may map these pages (EINVAL if not); sizes are of whole pages.
    virtual bool can_map(uint64_t /*offset*/, uint64_t /*size*/) const { return true; }

    // What shmat(2) maps (libposix/ipc/shared_segment.h).
    virtual bool is_segment_attachment() const { return false; }

    // What /proc/self/maps shows. Writes at most `size` bytes with a NUL.
    virtual void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                          uint64_t* inode) = 0;
};

}  // namespace coracle
