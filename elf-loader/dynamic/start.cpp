// The image's start, from its first instruction to the program's.
//
//   _start            finds the stack that execve built
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
#include "elf-loader/dynamic/self_relocation.h"

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

// True if the image itself was executed, as `libc-image PROGRAM ARGS...`.
bool is_run_as_command(uintptr_t* stack) {
    for (const Elf64_auxv_t* entry = find_auxv(stack); entry->a_type != AT_NULL; ++entry)
        if (entry->a_type == AT_ENTRY)
            return entry->a_un.a_val == reinterpret_cast<uintptr_t>(&_start);
    return false;
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
    relocate_image();
    start_stack = stack;
    linked_program.run_as_command = is_run_as_command(stack);
    if (linked_program.run_as_command && stack[0] > 1) drop_first_argument(stack);
    coracle_libc_start(run_program, static_cast<int>(stack[0]),
                       reinterpret_cast<char**>(stack + 1), nullptr, nullptr, nullptr, stack);
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
