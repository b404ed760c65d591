// Replaces `syscall` instructions in the image by calls of the kernel's entry, which keeps the
// same registers as the instruction does (ProcessPage::syscall_entry).
//
// Five shapes, by what stands around the instruction; none is used where a jump could lead into
// the replaced bytes:
//   mov $nr,%eax; syscall      call stub(nr); nop       stub: mov $nr,%eax; jmp *entry
//   A; B; syscall              call stub; nop...        stub: A; B; jmp *entry
//   same, A or B copies %rsp   jmp stub                 stub: A; B; call *entry; jmp back
//   red zone in use            jmp stub                 stub: A; B; lea -128(%rsp),%rsp;
//                                                             call *entry; lea 128(%rsp),%rsp;
//                                                             jmp back
//   syscall; A; B              jmp stub                 stub: call *entry; A; B; jmp back
// With the first two the kernel sees the site as its caller, so that unwinding through a call that
// a signal interrupted finds the function's own unwind information.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "libposix/libc/patcher/code_map.h"

namespace coracle::patcher {

struct StubArea {
    uint64_t start;
    uint64_t end;
    uint64_t entry;  // Where the entry's address is.
};

struct SyscallReport {
    size_t patched = 0;
    size_t kept = 0;                   // In functions that must use the instruction.
    std::vector<std::string> unknown;  // Functions with sites of no known shape.
    uint64_t stub_bytes = 0;
};

// `kept` are the functions whose `syscall` instructions stay, `pinned` places in instructions that
// must not move, because the dynamic linker knows them.
SyscallReport patch_syscalls(ElfImage& image, const CodeMap& code, const StubArea& area,
                             const std::vector<Symbol>& kept, const std::set<uint64_t>& pinned);

}  // namespace coracle::patcher
