// The shared libraries that a program is linked with, found as its dynamic linker would find them.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tools/image/elf_file.h"
#include "tools/image/tree.h"

namespace coracle {

struct ClosureObject {
    std::string path;  // As it was found in the tree; may be or cross a symbolic link.
    ElfFile elf;
};

struct MissingLibrary {
    std::string name;
    std::string wanted_by;  // Path of the object that names it.
};

struct Closure {
    std::vector<ClosureObject> objects;  // The program first, then breadth first.
    std::vector<MissingLibrary> missing;
    bool imports(const char* symbol) const;
    // The highest GLIBC_2.N that any object asks for; 0: none does.
    int glibc_minor() const;
};

struct ClosureOptions {
    std::vector<std::string> library_path;  // LD_LIBRARY_PATH of the program.
    std::vector<std::string> preload;       // LD_PRELOAD of the program.
    // The libc image stands in for glibc's own libraries, so they are not looked for.
    bool builtin_libc = true;
};

// The libc image is Debian 12's glibc 2.36.
constexpr int kImageGlibcMinor = 36;

// The libraries that the libc image is.
bool is_builtin_library(const std::string& soname);

// `program` must be an x86-64 ELF file.
Closure find_closure(const Tree& tree, const std::string& program, const ClosureOptions& options);

}  // namespace coracle
