// What ldd(1) shows.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Prints the objects that were loaded with the program, or would be, and ends the process.
[[noreturn]] void list_objects(const LinkMap& main_map);

}  // namespace coracle::loader
