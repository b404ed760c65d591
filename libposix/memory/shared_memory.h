// Memory that mappings share without a file: mmap(2) with MAP_SHARED | MAP_ANONYMOUS.
#pragma once

#include "libposix/memory/memory_object.h"

namespace coracle {

// `size` bytes of zeros, page-aligned. ENOMEM.
Result<RefPtr<MemoryObject>> make_shared_memory(uint64_t size);

}  // namespace coracle
