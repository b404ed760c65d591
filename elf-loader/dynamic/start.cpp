// The image's start, from its first instruction to the program's.
//
//   _start            finds the stack that execve built
//   copy_image        only if the image is too far from the program: continues in a copy
//   relocate_image    makes pointers in data valid
//   __libc_start_main of libc.a (here under another name) reads auxv and tunables, and the CPU's
//                     features; then calls back:
//     _dl_relocate_static_pie   resolvers run: memcpy and its like may be used
//     __libc_setup_tls          a provisional thread pointer: errno may be used
//     __libc_init_first         the program and its libraries are mapped and relocated
//   run_program       constructors of the libraries, then the program's entry
//
// The program calls __libc_start_main, which is defined in program_start.cpp.
#include <string.h>

#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/link_program.h"
#include "elf-loader/dynamic/near_program.h"
#include "elf-loader/dynamic/self_relocation.h"
#include "elf-loader/image.h"
#include "elf-loader/image_place.h"
#include "kernel-min/abi/process_page.h"

extern "C" {
int __libc_argc __attribute__((visibility("hidden")));
char** __libc_argv __attribute__((visibility("hidden")));

void _start();
[[noreturn]] void enter_program(uintptr_t* stack, Elf64_Addr entry, void (*fini)());
}

namespace coracle::loader {
namespace {

uintptr_t* start_stack;
LinkedProgram linked_program;

Elf64_auxv_t* find_auxv(uintptr_t* stack) {
    uintptr_t* word = stack + 1 + stack[0] + 1;
    while (*word++ != 0) {
    }
    return reinterpret_cast<Elf64_auxv_t*>(word);
}

Elf64_auxv_t* auxv_entry(uintptr_t* stack, uint64_t type) {
    Elf64_auxv_t* entry = find_auxv(stack);
    while (entry->a_type != AT_NULL && entry->a_type != type) ++entry;
    return entry;
}

// Moves everything behind argv[0] down over it, so that the program sees its own arguments, and
// the stack stays aligned.
void drop_first_argument(uintptr_t* stack) {
    auto* end = find_auxv(stack);
    while (end++->a_type != AT_NULL) {
    }
    --stack[0];
    for (uintptr_t* word = stack + 1; word + 1 != reinterpret_cast<uintptr_t*>(end); ++word)
        *word = word[1];
}

int run_program(int argc, char** argv, char** envp) {
    _dl_init(linked_program.main_map, argc, argv, envp);
    enter_program(start_stack, linked_program.entry, _dl_fini);
}

}  // namespace
}  // namespace coracle::loader

using namespace coracle::loader;

extern "C" [[noreturn]] void loader_entry(uintptr_t* stack) {
    // The image itself was executed if its entry is the program's: `libc-image PROGRAM ARGS...`.
    // The program is mapped near it then, unless it insists on an address.
    Elf64_auxv_t* entry = auxv_entry(stack, AT_ENTRY);
    const bool run_as_command = entry->a_un.a_val == reinterpret_cast<uint64_t>(&_start);
    Elf64_Addr program = entry->a_un.a_val;
    if (run_as_command)
        program = stack[0] > 1 ? fixed_entry(reinterpret_cast<const char*>(stack[2])) : 0;
    if (program != 0 && !coracle::image::is_in_reach(image_base(), program)) {
        if (const int64_t distance = copy_image(coracle::image::preferred_place(program))) {
            const Elf64_Addr copied_start = reinterpret_cast<uint64_t>(&_start) + distance;
            if (run_as_command) entry->a_un.a_val = copied_start;
            enter_program(stack, copied_start, nullptr);
        }
    }

    relocate_image();
    const Elf64_auxv_t* page = auxv_entry(stack, coracle::abi::kAuxCoracle);
    if (page->a_type != AT_NULL)
        coracle::image::coracle_use_process_page(
            reinterpret_cast<const coracle::abi::ProcessPage*>(page->a_un.a_val));
    start_stack = stack;
    linked_program.run_as_command = run_as_command;
    if (linked_program.run_as_command && stack[0] > 1) drop_first_argument(stack);
    coracle_libc_start(run_program, static_cast<int>(stack[0]), reinterpret_cast<char**>(stack + 1),
                       nullptr, nullptr, nullptr, stack);
}

// In place of csu/init-first.c's.
extern "C" void __libc_init_first(int argc, char** argv, char** envp) {
    __libc_argc = argc;
    __libc_argv = argv;
    __environ = envp;
    _dl_argv = argv;
    link_program(linked_program);
    __init_misc(argc, argv, envp);
}
