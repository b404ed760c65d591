// Slabs of one page a size class, the slab's head in its first bytes; larger blocks are whole
// frames. A block's page tells which: slab blocks are never page-aligned.
#include "kernel-min/memory/heap.h"

#include <cstdint>

#include "kernel-min/memory/frames.h"
#include "kernel-min/sched/kernel_lock.h"

namespace coracle {

namespace {

constexpr uint16_t kClassSizes[] = {16,  32,  48,  64,  96,   128,  192,
                                    256, 336, 496, 672, 1008, 1344, 2016};
constexpr size_t kClassCount = sizeof(kClassSizes) / sizeof(kClassSizes[0]);
constexpr size_t kSlabHeadSize = 64;

struct FreeObject {
    FreeObject* next;
};

struct Slab {
    Slab* next;  // in its class's list, while it has room
    Slab** previous;
    FreeObject* free;
    uint16_t used, capacity, fresh;  // fresh: objects never handed out so far lie from here on
    uint8_t size_class;
    bool listed;
};
static_assert(sizeof(Slab) <= kSlabHeadSize);

Slab* partial[kClassCount];

// Class by size in 16-byte steps, so that the hot path has no loop.
struct ClassIndex {
    uint8_t of[2016 / 16 + 1];
    constexpr ClassIndex() : of() {
        size_t size_class = 0;
        for (size_t i = 0; i < sizeof(of); i++) {
            while (kClassSizes[size_class] < i * 16) size_class++;
            of[i] = static_cast<uint8_t>(size_class);
        }
    }
};
constexpr ClassIndex kClassIndex;

void list(Slab* slab) {
    Slab** head = &partial[slab->size_class];
    slab->next = *head;
    slab->previous = head;
    if (slab->next) slab->next->previous = &slab->next;
    *head = slab;
    slab->listed = true;
}

void unlist(Slab* slab) {
    *slab->previous = slab->next;
    if (slab->next) slab->next->previous = slab->previous;
    slab->listed = false;
}

Slab* new_slab(size_t size_class) {
    auto frame = allocate_frame();
    if (!frame) return nullptr;
    auto* slab = phys_to_virt<Slab>(frame.value());
    *slab = {};
    slab->size_class = static_cast<uint8_t>(size_class);
    slab->capacity = static_cast<uint16_t>((kPageSize - kSlabHeadSize) / kClassSizes[size_class]);
    list(slab);
    return slab;
}

void* allocate_small(size_t size) {
    size_t size_class = kClassIndex.of[(size + 15) / 16];
    Slab* slab = partial[size_class];
    if (!slab) [[unlikely]] {
        slab = new_slab(size_class);
        if (!slab) return nullptr;
    }
    void* object;
    if (slab->free) {
        object = slab->free;
        slab->free = slab->free->next;
    } else {
        object = reinterpret_cast<char*>(slab) + kSlabHeadSize +
                 size_t{slab->fresh++} * kClassSizes[size_class];
    }
    if (++slab->used == slab->capacity) unlist(slab);
    return object;
}

void free_small(void* object) {
    auto* slab = reinterpret_cast<Slab*>(reinterpret_cast<uint64_t>(object) & ~(kPageSize - 1));
    auto* entry = static_cast<FreeObject*>(object);
    entry->next = slab->free;
    slab->free = entry;
    slab->used--;
    if (!slab->listed) {
        list(slab);
    } else if (slab->used == 0 && (slab->next || slab->previous != &partial[slab->size_class])) {
        unlist(slab);  // one empty slab a class stays, against ping-pong
        put_frame(direct_to_phys(slab));
    }
}

// The heap's, and the frames that it takes. Those that are taken elsewhere are taken under the
// kernel lock held alone.
LocalLock heap_lock;

}  // namespace

void* kernel_allocate(size_t size) {
    LocalLockGuard guard(heap_lock);
    if (size <= kClassSizes[kClassCount - 1]) return allocate_small(size);
    if (size > kPageSize << kMaxFrameOrder) return nullptr;
    unsigned order = 0;
    while (kPageSize << order < size) order++;
    auto frames = allocate_frames(order);
    return frames ? phys_to_virt(frames.value()) : nullptr;
}

void kernel_free(void* block) {
    if (!block) return;
    LocalLockGuard guard(heap_lock);
    if ((reinterpret_cast<uint64_t>(block) & (kPageSize - 1)) != 0) return free_small(block);
    PhysAddr frame = direct_to_phys(block);
    put_frames(frame, allocation_order(frame));
}

}  // namespace coracle
