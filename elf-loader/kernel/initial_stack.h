// The stack with which execve(2) starts a program: argc, argv, envp, the auxiliary vector, and
// above them the strings (x86-64 psABI 3.4.1; Linux's fs/binfmt_elf.c for the order).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/lib/result.h"

namespace coracle {

// What the auxiliary vector tells (man 3 getauxval).
struct ProgramFacts {
    uint64_t program_headers, program_header_count;
    uint64_t interpreter_base;  // AT_BASE; 0 without an interpreter
    uint64_t entry;
    uint64_t process_page;  // kAuxCoracle
    uint64_t vdso;          // AT_SYSINFO_EHDR
    uint32_t uid, euid, gid, egid;
    const char* file_name;  // AT_EXECFN
};

struct InitialStack {
    uint64_t stack_pointer;
    uint64_t arguments_start, arguments_end;
    uint64_t environment_start, environment_end;
    uint64_t auxv_start, auxv_end;
};

// Writes the stack below `top` into the current address space. E2BIG when the strings and their
// pointers take more than `limit` bytes, EFAULT if the stack cannot be written.
Result<InitialStack> build_initial_stack(uint64_t top, uint64_t limit,
                                         std::span<const char* const> arguments,
                                         std::span<const char* const> environment,
                                         const ProgramFacts& facts);

}  // namespace coracle
