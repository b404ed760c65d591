// The libc image: dynamic linker and C library in one static PIE, carried in the kernel image and
// mapped from there without a copy.
#pragma once

#include "elf-loader/kernel/elf_image.h"
#include "kernel-min/lib/ref_ptr.h"
#include "libposix/memory/memory_object.h"

namespace coracle {

// Whether a program that asks for this interpreter gets the libc image instead.
bool is_libc_image_interpreter(const char* path);

// ENOMEM on a machine whose memory is smaller than the image's code: the loader inside it makes the
// code writable for a moment, which such a machine refuses.
Result<ElfImage> parse_libc_image();
RefPtr<MemoryObject> libc_image_object();

}  // namespace coracle
