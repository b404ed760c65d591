// From a mapped (or named) program to one whose libraries are mapped, bound and initialised up to
// their constructors.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

struct LinkedProgram {
    bool run_as_command = false;  // In: the program is the file argv[0], not yet mapped.
    LinkMap* main_map = nullptr;
    Elf64_Addr entry = 0;
};

// Ends the process with a message and status 127 (1 for a version that is missing) when the
// program cannot be linked.
void link_program(LinkedProgram& program);

}  // namespace coracle::loader
