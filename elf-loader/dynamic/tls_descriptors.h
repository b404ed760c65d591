// TLS descriptors (R_X86_64_TLSDESC) for variables in dynamic storage. libc.a's loader knows only
// those in static storage, and gives an object static storage because of them.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// _dl_relocate_object, but descriptors for variables without static storage get a resolver that
// finds them in the thread's vector. Called by dlopen too.
extern "C" void coracle_relocate_object(LinkMap* map, Scope** scope, int mode,
                                        int consider_profiling);

}  // namespace coracle::loader
