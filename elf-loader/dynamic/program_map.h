// The program as an object of the loader.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Maps the program's file as execve(2) would, and makes the auxiliary vector tell of it. Used when
// the image is run as a command. A file without an interpreter is executed instead.
void map_program_file(const char* path);

// Fills the main map from the auxiliary vector.
void enter_program_map(LinkMap& map);

// Sets what $ORIGIN means for a program that map_program_file mapped.
void set_program_origin(LinkMap& map, const char* path);

}  // namespace coracle::loader
