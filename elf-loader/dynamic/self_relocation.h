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

// Moves the image's thread-local variables `bytes` further below the thread pointer: adjusts all
// code and data that address them from there. For one thread, whose TLS block is moved at once.
void shift_image_tls(int64_t bytes);

// Makes the pages of a place in the image's code writable, one run of pages at a time: the pages of
// the last call become what they were when others are asked for, or none (`writable` false). They
// stay executable meanwhile, because the caller may be in them.
void make_code_writable(Elf64_Addr place, size_t size, bool writable);

}  // namespace coracle::loader
