// Variables of old programs. glibc itself keeps those without a reader for such programs' sake
// only: since 2.34 nothing looks at the malloc hooks, and since 2.32 nothing at the regexp ones.
#include <errno.h>
#include <stddef.h>

#define EXPORTED __attribute__((visibility("default")))

extern "C" {

// Malloc hooks, malloc/malloc-hooks of glibc 2.33.
EXPORTED void* (*__malloc_hook)(size_t, const void*) = nullptr;
EXPORTED void* (*__realloc_hook)(void*, size_t, const void*) = nullptr;
EXPORTED void* (*__memalign_hook)(size_t, size_t, const void*) = nullptr;
EXPORTED void (*__free_hook)(void*, const void*) = nullptr;
EXPORTED void (*__malloc_initialize_hook)() = nullptr;
EXPORTED void (*__after_morecore_hook)() = nullptr;
EXPORTED void* (*__morecore)(ptrdiff_t) = nullptr;
EXPORTED void* mallwatch = nullptr;
EXPORTED void tr_break() {}
EXPORTED void* __default_morecore(ptrdiff_t) {
    return nullptr;
}

// Numbers of messages that sys_errlist had.
EXPORTED extern const int compat_GLIBC_2_2_5_sys_nerr = 125;
EXPORTED extern const int compat_GLIBC_2_3_sys_nerr = 126;
EXPORTED extern const int compat_GLIBC_2_4_sys_nerr = 132;
EXPORTED extern const int compat_GLIBC_2_12_sys_nerr = 135;

EXPORTED void* _obstack = nullptr;
EXPORTED int re_max_failures = 2000;

EXPORTED extern const char* const _res_opcodes[16] = {
    "QUERY", "IQUERY", "CQUERYM", "CQUERYU", "NOTIFY", "UPDATE", "6",        "7",
    "8",     "9",      "10",      "11",      "12",     "13",     "ZONEINIT", "ZONEREF"};

EXPORTED void compat_version_placeholder() {}

EXPORTED long compat_unimplemented() {
    errno = ENOSYS;
    return -1;
}

}  // extern "C"
