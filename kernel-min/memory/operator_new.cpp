// The language's allocation functions, on the kernel heap.
#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/heap.h"

// Kernel code asks with std::nothrow. The throwing forms are there because the language wants
// them; running out of memory in one is our bug.
void* operator new(size_t size, const std::nothrow_t&) noexcept {
    return coracle::kernel_allocate(size);
}
void* operator new[](size_t size, const std::nothrow_t&) noexcept {
    return coracle::kernel_allocate(size);
}
void* operator new(size_t size) {
    void* block = coracle::kernel_allocate(size);
    if (!block) coracle::panic("out of memory in an allocation that must not fail");
    return block;
}
void* operator new[](size_t size) {
    return operator new(size);
}
void operator delete(void* block) noexcept {
    coracle::kernel_free(block);
}
void operator delete[](void* block) noexcept {
    coracle::kernel_free(block);
}
void operator delete(void* block, size_t) noexcept {
    coracle::kernel_free(block);
}
void operator delete[](void* block, size_t) noexcept {
    coracle::kernel_free(block);
}

// The kernel heap aligns to 16 bytes below a page, so stricter wishes get whole frames.
void* operator new(size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    bool is_strict = static_cast<size_t>(alignment) > 16;
    return coracle::kernel_allocate(is_strict && size < 4096 ? 4096 : size);
}
void* operator new(size_t size, std::align_val_t alignment) {
    void* block = operator new(size, alignment, std::nothrow);
    if (!block) coracle::panic("out of memory in an allocation that must not fail");
    return block;
}
void operator delete(void* block, std::align_val_t) noexcept {
    coracle::kernel_free(block);
}
void operator delete(void* block, size_t, std::align_val_t) noexcept {
    coracle::kernel_free(block);
}
