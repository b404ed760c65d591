// TLS descriptors (R_X86_64_TLSDESC) of objects whose variables have dynamic storage; libc.a's
// loader knows only those with static storage.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Learns how to save the vector registers; once, at start.
void prepare_tls_descriptors();

}  // namespace coracle::loader
