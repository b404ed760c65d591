// Whether a `syscall` instruction may be turned into a call: what must be proved, and how.
//
// The rewrite replaces `mov $nr,%eax` (b8 imm32), the five bytes directly before the `syscall`, by
// a jump to a stub. The kernel knows, because it trapped, that an instruction starts at the
// `syscall`, and with which rax it was reached. It must not replace five bytes that are the end of
// another instruction. Whatever ran before the `syscall`, if it was not a jump to it, ended there;
// so every instruction that could end there is looked for, at each of the fifteen bytes where one
// can start. The site is taken only if
//
//  - the five bytes are b8 imm32, and imm32 is all of rax: what the mov would have left; and
//  - nothing else can end at the `syscall`, but the same mov with a void prefix, and instructions
//  that would have faulted: those whose
//    operand is at imm32(%rax) or (%rax), for rax is a small number and the first 64 KiB of an
//    address space are never mapped (vm.mmap_min_addr).
//
// What is assumed: no jump goes between the first and the last byte of a `mov $nr,%eax`; and where
// the `syscall` is only ever reached by jumps, with the same rax each time, its five bytes are not
// data that someone reads. A jump to the `syscall` itself goes on working: it stays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coracle::rewriter {

constexpr size_t kMovSize = 5;
constexpr size_t kSyscallSize = 2;
// How many bytes before the `syscall` are looked at.
constexpr size_t kLookBehind = 15;

// `before`: the bytes that end where the `syscall` starts, kLookBehind or as many as are mapped.
bool is_rewritable(std::span<const uint8_t> before, uint64_t rax);

}  // namespace coracle::rewriter
