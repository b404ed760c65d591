// The image as the libraries that it stands for.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Enters the image among the loaded objects as libc.so.6, and the other libraries of glibc that
// are in it as empty objects of their own, so that each keeps its place in the search order: a
// program that is linked with -lm -ljemalloc -lc must find jemalloc's malloc before libc's.
// Returns libc.so.6's map. Thread-local storage is not assigned yet.
LinkMap* enter_image();

// True for the maps that enter_image made.
bool is_image_map(const LinkMap* map);

}  // namespace coracle::loader
