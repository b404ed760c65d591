// The start of glibc 2.36's thread descriptor (struct pthread, nptl/descr.h) and its dynamic
// thread vector (sysdeps/generic/dl-dtv.h), checked against the debug information of libc6-dbg.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// dtv[-1].counter is the capacity, dtv[0].counter the generation, dtv[modid] the block of a module.
union DtvEntry {
    size_t counter;
    struct {
        void* value;
        void* to_free;
    } block;
};
static_assert(sizeof(DtvEntry) == 16);

inline void* const kUnallocated = reinterpret_cast<void*>(-1L);

struct ThreadDescriptor {
    void* tcb;
    DtvEntry* dtv;
    void* self;
    int multiple_threads;
    int gscope_flag;
    uintptr_t sysinfo;
    uintptr_t stack_guard;    // %fs:0x28
    uintptr_t pointer_guard;  // %fs:0x30
    unsigned long unused_vgetcpu_cache[2];
    uint32_t feature_1;
    char header_rest[704 - 76];
    void* list[2];
    int tid;
    char rest[2368 - 724];
};
static_assert(offsetof(ThreadDescriptor, stack_guard) == 0x28);
static_assert(offsetof(ThreadDescriptor, feature_1) == 72);
static_assert(offsetof(ThreadDescriptor, tid) == 720 && sizeof(ThreadDescriptor) == 2368);

inline ThreadDescriptor* this_thread() {
    ThreadDescriptor* self;
    asm("mov %%fs:0x10, %0" : "=r"(self));
    return self;
}

struct SlotInfo {
    size_t generation;
    LinkMap* map;
};

// The modules with thread-local storage; the first list's index is the module number.
struct SlotInfoList {
    size_t count;
    SlotInfoList* next;
    SlotInfo slots[];
};

// csu/libc-tls.c's variables, which thread_storage.cpp defines in its place.
extern "C" {
extern DtvEntry _dl_static_dtv[];
extern size_t _dl_tls_max_dtv_idx;
extern bool _dl_tls_dtv_gaps;
extern SlotInfoList* _dl_tls_dtv_slotinfo_list;
extern size_t _dl_tls_static_nelem;
extern size_t _dl_tls_static_size;
extern size_t _dl_tls_static_used;
extern size_t _dl_tls_static_align;
extern size_t _dl_tls_static_surplus;
extern size_t _dl_tls_static_optional;
extern size_t _dl_tls_generation;
extern size_t _dl_tls_initial_modid_limit;
extern unsigned _dl_tls_threads_in_update;
extern char _dl_load_tls_lock[40];
int __pthread_mutex_lock(void* mutex);
int __pthread_mutex_unlock(void* mutex);
}

}  // namespace coracle::loader
