// What the kernel shows to the libc image: one read-only page in every process, "[vvar]" in
// /proc/self/maps, whose address is the auxiliary-vector entry kAuxCoracle. It tells how to call
// the kernel without a trap, and holds the values that are read without calling at all.
//
// Constants and structures only: the libc image and elf-loader include this file too.
#pragma once

#include <cstdint>

namespace coracle::abi {

constexpr uint64_t kAuxCoracle = 0x434f5243;  // "CORC"; Linux uses small numbers only.
constexpr uint32_t kProcessPageVersion = 1;
// Linux 6.1's system calls end at 450. From kSyscallCount on stand calls that only call_entries
// leads to: the libc image's own.
constexpr uint32_t kSyscallCount = 504, kCallCount = 512;
constexpr uint32_t kThreadPark = 510, kThreadUnpark = 511;  // libposix/process/park_calls.cpp

// Read under `sequence`: odd while the kernel writes. time_ns = base_ns + ((tsc - base_tsc) *
// multiplier >> shift), with a 128-bit product.
struct ClockPage {
    uint32_t sequence;
    uint32_t shift;
    uint64_t multiplier;  // 0: the TSC cannot be used, make the system call.
    uint64_t base_tsc;
    uint64_t monotonic_base_ns;
    uint64_t realtime_offset_ns;  // realtime = monotonic + this
};

struct ProcessPage {
    uint32_t version;
    uint32_t size;  // sizeof(ProcessPage) of the kernel, for images that are older

    // Entry with the `syscall` instruction's convention: number in rax, arguments in rdi, rsi,
    // rdx, r10, r8, r9; result in rax; rcx and r11 are lost, everything else is kept. Reached with
    // `call`; uses no application stack below the return address.
    uint64_t syscall_entry;

    // call_entries[number]: an array of kCallCount C functions
    // `long (*)(long a0, ..., long a5)` with the C ABI, result or -errno. Never null: an
    // unknown number gives -ENOSYS. Calls that need the whole register state (clone, fork,
    // vfork, execve, rt_sigreturn) must use syscall_entry.
    uint64_t call_entries;

    uint32_t pid, ppid, tgid_unused, reserved;
    uint32_t uid, euid, gid, egid;
    ClockPage clock;
};
static_assert(sizeof(ProcessPage) <= 4096);

}  // namespace coracle::abi
