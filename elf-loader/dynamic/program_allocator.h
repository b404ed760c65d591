// The program's own malloc family, which the image's code uses too.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// To be called before the image allocates anything.
void note_heap_start();

// Lets the image allocate with the program's functions, if the program or a library before
// libc.so.6 in the search order defines them. What the image has allocated until now stays valid:
// to free it does nothing from then on.
void use_program_allocator(LinkMap& main_map);

}  // namespace coracle::loader
