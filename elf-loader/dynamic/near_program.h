// Getting the image into reach of the program (elf-loader/image_place.h). The kernel maps it there;
// other loaders (Linux's, for tests) do not know of that. None of these functions uses libc or
// relocated data.
#pragma once

#include <elf.h>
#include <stdint.h>

namespace coracle::loader {

// The entry of a program file that is linked to a fixed address, 0 for others and for files that
// cannot be read.
Elf64_Addr fixed_entry(const char* path);

// Copies the image, before it is relocated, to free memory near a place. Returns how far the copy
// is, 0 if there is no room.
int64_t copy_image(Elf64_Addr place);

}  // namespace coracle::loader
