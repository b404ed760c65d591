#pragma once

#include <elf.h>

#include <string>
#include <vector>

namespace coracle {

// What a made-up ELF file says.
struct MadeElf {
    uint16_t type = ET_DYN;
    uint16_t machine = EM_X86_64;
    std::string interpreter, soname, rpath, runpath;
    std::vector<std::string> needed;

    // The smallest file with these program headers and this dynamic section.
    std::string bytes() const;
};

}  // namespace coracle
