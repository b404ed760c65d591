// Names for addresses in a crash report, from the symbol tables of the mapped ELF file.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libposix/memory/memory_object.h"

namespace coracle {

struct Symbol {
    char name[96] = {};
    uint64_t offset = 0;    // of the address from the symbol
    uint64_t address = 0;   // the address as the file counts it (what addr2line takes)
    bool has_name = false;
};

// What the byte at `file_offset` of an ELF file belongs to. False if the object is no ELF file
// that can be read, or the byte is in no segment. Never fails loudly: the file may be damaged.
bool find_symbol(MemoryObject& file, uint64_t file_offset, Symbol& symbol);

}  // namespace coracle
