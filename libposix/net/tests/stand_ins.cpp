// What the network's protocols use of the rest of the kernel, on the host.
#include <cstdio>
#include <cstdlib>

#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/heap.h"

namespace coracle {

void* kernel_allocate(size_t size) {
    return aligned_alloc(64, (size + 63) / 64 * 64);
}
void kernel_free(void* block) {
    free(block);
}

void panic_assertion(const char* expression, const char* file, int line) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}

}  // namespace coracle
