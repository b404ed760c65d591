// Relocation of the libc image by itself.
#pragma once

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

namespace coracle::loader {

// Where the image's first byte is.
Elf64_Addr image_base();
const Elf64_Ehdr* image_header();
Elf64_Dyn* image_dynamic();

// Applies every relocation but those that must call a resolver. To be called first of all: until
// then the code may not use a pointer from initialised data.
void relocate_image();

// Applies the relocations that call an IFUNC resolver, when the CPU's features are known. Until
// then memcpy and its like may not be called.
void relocate_image_functions();

// Write-protects the image's data that does not change any more (PT_GNU_RELRO).
void protect_image();

// Moves the image's thread-local variables `bytes` further below the thread pointer: adjusts all
// code and data that address them from there. For one thread, whose TLS block is moved at once.
void shift_image_tls(int64_t bytes);

// Makes the image's code writable, or as it was. It stays executable meanwhile, because the caller
// is in it. At once for all of it: a call for each page costs more than the pages.
void set_code_writable(bool writable);

}  // namespace coracle::loader
