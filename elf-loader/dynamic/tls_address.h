// Addresses of thread-local variables with dynamic storage.
#pragma once

#include <stddef.h>

namespace coracle::loader {

// What R_X86_64_DTPMOD64 and R_X86_64_DTPOFF64 fill, __tls_get_addr's argument.
struct TlsIndex {
    size_t module;
    size_t offset;
};

// The argument of a TLS descriptor for a variable in dynamic storage.
struct DynamicTlsDescriptor {
    TlsIndex index;
    size_t generation;  // When the module was loaded: a thread's vector must be as new.
};

extern "C" void* __tls_get_addr(const TlsIndex* index);

// The generation of a loaded module, or the next one for a module that dlopen is loading.
size_t module_generation(size_t module);

}  // namespace coracle::loader
