// What the libc image tells the dynamic linker that is linked into it, beside its own dynamic
// section. The tables are generated when the image is linked, from its kept relocations; every
// place is an offset from the image's first byte.
//
// The dynamic section is that of an ordinary shared library: DT_SYMTAB, DT_STRTAB, DT_GNU_HASH,
// DT_VERSYM and DT_VERDEF define the names of libc.so.6 and of all the libraries that the image
// stands for, with glibc's versions (the version indices are the image's own).
//
// Declarations only.
#pragma once

#include <cstdint>

namespace coracle::abi {
struct ProcessPage;
}

namespace coracle::image {

enum class ReferenceKind : uint32_t {
    kAddress,     // 8 bytes that hold the variable's address (plus addend).
    kPcRelative,  // 4 bytes in code: address plus addend minus the place.
};

// Code or data of the image that refers to one of its exported variables. A program that has its
// own copy of the variable (R_X86_64_COPY) becomes its owner: the loader points these there.
struct VariableReference {
    uint32_t variable;  // Offset of the variable's first byte, as its symbol says. Sorted by this.
    uint32_t place;
    ReferenceKind kind;
    int32_t addend;
};

// A function of the malloc family that the image's own code calls through a pointer. The loader
// points it at the program's definition, if there is one, before anything of the program runs.
struct AllocatorPointer {
    const char* name;  // The symbol to look up: "malloc", "free", ...
    void** pointer;    // Holds the image's own function at first.
};

// Defined by the generated object.
struct Tables {
    const VariableReference* variable_references;
    uint64_t variable_reference_count;
    const AllocatorPointer* allocator_pointers;
    uint64_t allocator_pointer_count;
    // Code that addresses the image's thread-local variables from the thread pointer: places of
    // signed 32-bit displacements that were linked with the image's block at the thread pointer.
    // They move when the program has thread-local variables of its own, which come first. These are
    // R_X86_64_TPOFF32, and R_X86_64_GOTTPOFF where the linker has made an immediate of it. Sorted.
    const uint32_t* tls_places;
    uint64_t tls_place_count;
};

extern "C" const Tables coracle_image_tables __attribute__((visibility("hidden")));

// Lets the image enter the kernel by calls, for a program that has the auxiliary-vector entry
// kAuxCoracle. To be called when relocate_image is done, before resolvers run.
extern "C" void coracle_use_process_page(const abi::ProcessPage* page)
    __attribute__((visibility("hidden")));

}  // namespace coracle::image
