// The address of a symbol that was found in an object.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Runs the resolver of an IFUNC; for a thread-local variable, this thread's.
void* symbol_address(const LinkMap& owner, const Elf64_Sym& symbol);

}  // namespace coracle::loader
