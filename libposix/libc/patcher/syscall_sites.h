// Replaces `syscall` instructions in the image by calls of the kernel. A call goes to
//   - the C function of the system call, through a slot that the image's start fills from
//     ProcessPage::call_entries, where call_proof.h shows that nobody can tell the difference;
//   - else ProcessPage::syscall_entry, which keeps the registers that the instruction keeps.
//
// The shapes, by what stands around the instruction; none is used where a jump could lead into the
// replaced bytes ("enter" stands for a jump through the slot or the entry):
//   mov $nr,%eax; syscall    call *slot                  at most three arguments
//   mov $nr,%eax; syscall    call stub                   stub: mov $nr,%eax; enter
//   mov $nr,%eax; syscall; ret    jmp *slot
//   A; B; syscall            call stub                   stub: A; B; enter
//   syscall; A; B            call stub                   stub: call enter; A; B; ret
//   A; B; syscall            jmp stub                    stub: A; B; call enter; jmp back
// The last is for code that copies the stack pointer, and for functions that have data below it
// (the red zone, which the stub steps over).
//
// Where up to three registers are used after a C call, called stubs save them: push; call enter;
// pop.
//
// Called stubs have no frame of their own but such registers, in areas of their own, so that one
// rule for each area tells unwinders how to leave them: cancellation unwinds through calls that a
// signal interrupts. Stubs of the last shape have none.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "libposix/libc/patcher/call_proof.h"

namespace coracle::patcher {

struct Area {
    uint64_t start;
    uint64_t end;
};

struct SyscallAreas {
    Area called_stubs;
    Area saving_stubs;       // Of one register.
    Area saving_more_stubs;  // Of up to three.
    Area jumped_stubs;
    Area slots;      // 8 bytes each
    uint64_t entry;  // Where the address of syscall_entry is.
};

struct SyscallReport {
    size_t c_calls = 0;
    size_t entry_calls = 0;
    size_t kept = 0;                   // In functions that must use the instruction.
    std::vector<std::string> unknown;  // Functions with sites of no known shape.
    uint64_t stub_bytes = 0;
    std::vector<uint16_t> slot_numbers;  // The system call of each slot.
    std::vector<uint64_t> slot_stubs;    // What each slot calls without the process page.
};

// `kept` are the functions whose `syscall` instructions stay, `pinned` places in instructions that
// must not move, because the dynamic linker knows them.
SyscallReport patch_syscalls(ElfImage& image, const CodeMap& code, const CallProof& proof,
                             const SyscallAreas& areas, const std::vector<Symbol>& kept,
                             const std::set<uint64_t>& pinned);

}  // namespace coracle::patcher
