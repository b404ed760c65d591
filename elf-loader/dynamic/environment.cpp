#include "elf-loader/dynamic/environment.h"

#include <stdlib.h>
#include <string.h>

#include "elf-loader/dynamic/glibc_loader.h"

namespace coracle::loader {
namespace {

struct DebugOption {
    const char* name;
    int mask;
};

// The bits of _dl_debug_mask, sysdeps/generic/ldsodefs.h.
constexpr int kLibs = 1 << 0, kCalls = 1 << 1, kBindings = 1 << 2, kSymbols = 1 << 3,
              kVersions = 1 << 4, kReloc = 1 << 5, kFiles = 1 << 6, kStatistics = 1 << 7,
              kUnused = 1 << 8, kScopes = 1 << 9;

const DebugOption kDebugOptions[] = {
    {"libs", kLibs | kCalls},
    {"reloc", kReloc | kCalls},
    {"files", kFiles | kCalls},
    {"symbols", kSymbols | kCalls},
    {"bindings", kBindings | kCalls},
    {"versions", kVersions | kCalls},
    {"scopes", kScopes},
    {"all", kLibs | kReloc | kFiles | kSymbols | kBindings | kVersions | kCalls | kScopes},
    {"statistics", kStatistics},
    {"unused", kUnused},
};

int debug_mask(const char* list) {
    int mask = 0;
    while (*list != '\0') {
        const size_t length = strcspn(list, " ,:");
        for (const DebugOption& option : kDebugOptions)
            if (strlen(option.name) == length && memcmp(option.name, list, length) == 0)
                mask |= option.mask;
        list += length;
        list += strspn(list, " ,:");
    }
    return mask;
}

}  // namespace

Environment read_environment() {
    Environment environment;
    for (char** variable = __environ; *variable != nullptr; ++variable) {
        const char* text = *variable;
        if (text[0] != 'L' || text[1] != 'D' || text[2] != '_') continue;
        if (strncmp(text, "LD_PRELOAD=", 11) == 0) environment.preload = text + 11;
        if (__libc_enable_secure) continue;
        if (strncmp(text, "LD_DEBUG=", 9) == 0) _dl_debug_mask = debug_mask(text + 9);
        if (strncmp(text, "LD_TRACE_LOADED_OBJECTS=", 24) == 0) environment.list_objects = true;
    }
    return environment;
}

}  // namespace coracle::loader
