// What the network's protocols use of the rest of the kernel, on the host.
#include <cstdio>
#include <cstdlib>

#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/buffer.h"

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

namespace net {
// For tests that play a machine of several CPUs, too.
const bool has_buffer_pools = [] {
    const unsigned count = std::exchange(test_cpu_count, 8);
    const bool allocated = allocate_buffer_pools();
    test_cpu_count = count;
    return allocated;
}();
}

}  // namespace coracle
