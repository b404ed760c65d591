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

}  // namespace coracle::loader
