// The dynamic symbol table of the finished image: .dynsym, .dynstr, .gnu.hash, .gnu.version and
// .gnu.version_d, made from the exports (System V ABI; LSB "Symbol Versioning"; the GNU hash
// table as binutils writes it). The linker could make them, but it has no way to give one
// definition several versions.
#pragma once

#include <cstdint>
#include <vector>

#include "libposix/libc/patcher/exports.h"

namespace coracle::patcher {

struct DynamicTables {
    std::vector<uint8_t> symbols;  // Elf64_Sym[]
    std::vector<uint8_t> strings;
    std::vector<uint8_t> hash;      // DT_GNU_HASH
    std::vector<uint8_t> versions;  // uint16_t[]
    std::vector<uint8_t> version_definitions;
    uint32_t version_definition_count = 0;
    uint32_t soname = 0;  // Offset in strings.
};

DynamicTables make_dynamic_tables(const std::vector<Export>& exports, const char* soname);

}  // namespace coracle::patcher
