#include "kernel-min/memory/tests/fake_memory.h"

#include <sys/mman.h>

#include <cstdlib>

#include "kernel-min/memory/page_table.h"

namespace coracle {

void set_up_fake_memory() {
    if (kDirectMapBase) return;
    constexpr size_t kAlignment = kPageSize << kMaxFrameOrder;
    void* arena = mmap(nullptr, kFakeMemorySize + kAlignment, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) abort();
    kDirectMapBase = (reinterpret_cast<uint64_t>(arena) + kAlignment - 1) & ~(kAlignment - 1);
    MemoryRange usable[] = {{0x1000, kFakeHole.start}, {kFakeHole.end, kFakeMemorySize}};
    init_frames(usable, 2, &kFakeReserved, 1);
}

}  // namespace coracle
