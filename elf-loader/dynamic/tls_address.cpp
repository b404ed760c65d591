// Addresses of thread-local variables in objects with dynamic storage: __tls_get_addr, which a
// static glibc does not have, and TLS descriptors. The general rules are in Ulrich Drepper's "ELF
// Handling For Thread-Local Storage"; the state is glibc's (elf/dl-tls.c).
//
// A thread's vector is brought up to date when it is used: dlopen and dlclose only count the
// generation up and note it in the slot that they change.
#include "elf-loader/dynamic/tls_address.h"

#include <string.h>

#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/glibc_thread.h"

extern "C" {
void* malloc(size_t size);
void* realloc(void* pointer, size_t size);
void free(void* pointer);
}

namespace coracle::loader {
namespace {

constexpr size_t kVectorSurplus = 14;

// An allocator that uses dynamic TLS itself comes back here from malloc; while this lives, such
// calls for modules of the program's start are answered from the vector as it is.
class AllocationScope {
  public:
    AllocationScope() { __atomic_fetch_add(&_dl_tls_threads_in_update, 1, __ATOMIC_RELAXED); }
    ~AllocationScope() { __atomic_fetch_sub(&_dl_tls_threads_in_update, 1, __ATOMIC_RELAXED); }
    static bool active() {
        return __atomic_load_n(&_dl_tls_threads_in_update, __ATOMIC_RELAXED) > 0;
    }
};

class TlsLock {
  public:
    TlsLock() { __pthread_mutex_lock(_dl_load_tls_lock); }
    ~TlsLock() { __pthread_mutex_unlock(_dl_load_tls_lock); }
};

[[noreturn]] void out_of_memory() {
    _dl_fatal_printf("cannot allocate memory for thread-local data: ABORT\n");
}

DtvEntry* grow_vector(DtvEntry* dtv, size_t module_count) {
    const size_t old_capacity = dtv[-1].counter;
    const size_t capacity = module_count + kVectorSurplus;
    const size_t bytes = (2 + capacity) * sizeof(DtvEntry);
    AllocationScope scope;
    DtvEntry* grown;
    if (dtv == &_dl_static_dtv[1]) {
        grown = static_cast<DtvEntry*>(malloc(bytes));
        if (grown != nullptr) memcpy(grown, &dtv[-1], (2 + old_capacity) * sizeof(DtvEntry));
    } else {
        grown = static_cast<DtvEntry*>(realloc(&dtv[-1], bytes));
    }
    if (grown == nullptr) out_of_memory();
    grown[0].counter = capacity;
    memset(grown + 2 + old_capacity, 0, (capacity - old_capacity) * sizeof(DtvEntry));
    return grown + 1;
}

SlotInfo* find_slot(size_t module) {
    SlotInfoList* list = _dl_tls_dtv_slotinfo_list;
    for (; module >= list->count; list = __atomic_load_n(&list->next, __ATOMIC_ACQUIRE))
        module -= list->count;
    return &list->slots[module];
}

// Brings this thread's vector to `generation`: blocks of modules that changed since are freed,
// and allocated anew when they are used. Slots that change at this moment have a later
// generation, or belong to modules that this thread may not use yet.
void update_vector(ThreadDescriptor* thread, size_t generation) {
    DtvEntry* dtv = thread->dtv;
    if (dtv[0].counter >= generation) return;
    const size_t modules = __atomic_load_n(&_dl_tls_max_dtv_idx, __ATOMIC_RELAXED);
    SlotInfoList* list = _dl_tls_dtv_slotinfo_list;
    size_t first = 0;
    for (; list != nullptr && first <= modules;
         first += list->count, list = __atomic_load_n(&list->next, __ATOMIC_ACQUIRE)) {
        for (size_t i = first == 0 ? 1 : 0; i < list->count && first + i <= modules; ++i) {
            const size_t module = first + i;
            const size_t changed = __atomic_load_n(&list->slots[i].generation, __ATOMIC_RELAXED);
            if (changed > generation || changed <= dtv[0].counter) continue;
            if (module > dtv[-1].counter) {
                if (__atomic_load_n(&list->slots[i].map, __ATOMIC_RELAXED) == nullptr) continue;
                dtv = grow_vector(dtv, modules);
                thread->dtv = dtv;
            }
            if (dtv[module].block.to_free != nullptr) {
                AllocationScope scope;
                free(dtv[module].block.to_free);
            }
            dtv[module].block = {kUnallocated, nullptr};
        }
    }
    dtv[0].counter = generation;
}

// The first use of a module's block in this thread. If the module has got static storage
// meanwhile (a library that dlopen loaded later needed that), its block is there already; if
// not, from now on it cannot.
bool has_static_block(LinkMap* map) {
    if (map->l_tls_offset == kForcedDynamicTlsOffset) return false;
    TlsLock lock;
    if (map->l_tls_offset == kNoTlsOffset) map->l_tls_offset = kForcedDynamicTlsOffset;
    return map->l_tls_offset != kForcedDynamicTlsOffset;
}

void allocate_block(ThreadDescriptor* thread, size_t module) {
    LinkMap* map = find_slot(module)->map;
    DtvEntry& entry = thread->dtv[module];
    if (has_static_block(map)) {
        entry.block = {reinterpret_cast<char*>(thread) - map->l_tls_offset, nullptr};
        return;
    }
    const size_t align = map->l_tls_align > 16 ? map->l_tls_align : 16;
    char* allocated;
    {
        AllocationScope scope;
        allocated = static_cast<char*>(malloc(map->l_tls_blocksize + align - 16));
    }
    if (allocated == nullptr) out_of_memory();
    const auto address = (reinterpret_cast<uintptr_t>(allocated) + align - 16) & ~(align - 1);
    auto* block = reinterpret_cast<char*>(address);
    memcpy(block, map->l_tls_initimage, map->l_tls_initimage_size);
    memset(block + map->l_tls_initimage_size, 0, map->l_tls_blocksize - map->l_tls_initimage_size);
    thread->dtv[module].block = {block, allocated};
}

}  // namespace

size_t module_generation(size_t module) {
    SlotInfoList* list = _dl_tls_dtv_slotinfo_list;
    for (; list != nullptr && module >= list->count; list = list->next) module -= list->count;
    if (list != nullptr && list->slots[module].map != nullptr)
        return list->slots[module].generation;
    return _dl_tls_generation + 1;
}

}  // namespace coracle::loader

using namespace coracle::loader;

extern "C" __attribute__((visibility("hidden"))) void* tls_get_address_slow(const TlsIndex* index) {
    ThreadDescriptor* thread = this_thread();
    const size_t generation = __atomic_load_n(&_dl_tls_generation, __ATOMIC_ACQUIRE);
    if (thread->dtv[0].counter != generation &&
        !(AllocationScope::active() && index->module < _dl_tls_initial_modid_limit))
        update_vector(thread, generation);
    if (thread->dtv[index->module].block.value == kUnallocated)
        allocate_block(thread, index->module);
    return static_cast<char*>(thread->dtv[index->module].block.value) + index->offset;
}
