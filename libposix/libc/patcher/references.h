// What in the image depends on the program that it serves: references to exported variables, and
// distances of thread-local variables from the thread pointer (elf-loader/image.h).
#pragma once

#include <vector>

#include "elf-loader/image.h"
#include "libposix/libc/patcher/code_map.h"
#include "libposix/libc/patcher/exports.h"

namespace coracle::patcher {

// The image's references to variables that a program can have copies of, sorted by variable.
// `relative` are the image's relative relocations: places that hold an address (the addend).
std::vector<image::VariableReference> find_variable_references(
    const ElfImage& image, const CodeMap& code, const std::vector<Symbol>& symbols,
    const std::vector<Export>& exports, const std::vector<Relocation>& relative);

struct TlsReferences {
    std::vector<uint32_t> places;         // As in image::Tables.
    std::vector<Relocation> relocations;  // R_X86_64_TPOFF64 without a symbol.
};

// The linker turns loads of a variable's distance from the thread pointer into constants. This
// turns them back into loads, from the slots between `slots` and `slots_end`, so that the code
// stays shared when the program's own thread-local variables move those of the image.
TlsReferences restore_tls_loads(ElfImage& image, uint64_t slots, uint64_t slots_end);

}  // namespace coracle::patcher
