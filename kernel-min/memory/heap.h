// Kernel heap: `new (std::nothrow) T` and the functions below. Size classes up to a page are cut
// from frames of the direct map; larger blocks are whole frames. `delete` needs no size. The kernel
// lock may be held locally.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"

namespace coracle {

// Null when out of memory. Aligned to 16 bytes (to the page from 4096 bytes on).
void* kernel_allocate(size_t size);
void kernel_free(void* block);

// ENOMEM instead of an exception.
template <typename T, typename... Args>
Result<RefPtr<T>> make_ref(Args&&... args) {
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (!object) return Error(ENOMEM);
    return adopt_ref(object);
}

template <typename T, typename... Args>
Result<std::unique_ptr<T>> make_unique_object(Args&&... args) {
    T* object = new (std::nothrow) T(std::forward<Args>(args)...);
    if (!object) return Error(ENOMEM);
    return std::unique_ptr<T>(object);
}

}  // namespace coracle
