// What in the image changes with the program: see elf-loader/image.h.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// For each of the image's variables that the program has a copy of: the copy becomes the variable.
void point_references_at_program(const LinkMap& main_map, const LinkMap& image);

}  // namespace coracle::loader
