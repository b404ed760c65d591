// Filling link maps of objects that this loader did not map from a file: the program, which the
// kernel mapped, and the image itself.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

// Indexes map.l_ld in map.l_info, and relocates its addresses in place unless the map says that
// its dynamic section is read-only. Sets the flags that follow from it.
void read_dynamic_section(LinkMap& map);

// Fills map from its program headers (l_phdr, l_phnum, l_addr are set): dynamic section, extent,
// thread-local storage and RELRO; returns the flags of PT_GNU_STACK, or those of an object that
// does not have it.
uint32_t read_program_headers(LinkMap& map);

// What a dynamic tag points to.
template <typename T>
T* dynamic_pointer(const LinkMap& map, int index) {
    if (map.l_info[index] == nullptr) return nullptr;
    const Elf64_Addr address = map.l_info[index]->d_un.d_ptr;
    return reinterpret_cast<T*>(map.l_ld_readonly ? address + map.l_addr : address);
}

}  // namespace coracle::loader
