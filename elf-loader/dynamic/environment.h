// The environment variables of ld.so(8) that libc.a's start does not read itself. It reads
// LD_LIBRARY_PATH, LD_BIND_NOW, LD_BIND_NOT and LD_WARN.
#pragma once

namespace coracle::loader {

struct Environment {
    const char* preload = nullptr;  // LD_PRELOAD
    bool list_objects = false;      // LD_TRACE_LOADED_OBJECTS
};

// Also sets the loader's debug output as LD_DEBUG says.
Environment read_environment();

}  // namespace coracle::loader
