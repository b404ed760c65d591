// The first thread's thread-local storage, and where each object's block lies in it.
//
// The thread pointer (%fs:0) is at the thread descriptor, and the blocks lie below it: first the
// program's, whose code knows its distance from the thread pointer, then the image's, then those
// of the libraries that are loaded with the program, then a reserve for libraries that dlopen
// loads and that insist on a fixed distance.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Builds the blocks for all loaded objects and moves this thread to them, from the provisional
// block in which the image started. The values of the image's variables move along; the blocks of
// the other objects are zero until initialize_thread_blocks.
void install_thread_storage(LinkMap& image);

// Fills the blocks from the objects' initial values, which are final once all are relocated.
void initialize_thread_blocks(const LinkMap& image);

}  // namespace coracle::loader
