// The code that the rewriter writes: a jump at the site, and the stub that it goes to.
//
//     lea -128(%rsp),%rsp     steps over the red zone; a lea keeps the flags
//     mov $nr,%eax
//     call *slot(%rip)        the kernel's entry with the convention of `syscall`
//     lea 128(%rsp),%rsp
//     jmp back                behind the `syscall`
//
// Registers are as Linux leaves them but for rcx and r11, which Linux sets to the return address
// and the flags, and which are lost here, and for the flags. The call needs eight bytes of stack
// below the red zone, which a `syscall` does not.
//
// A debugger or unwinder that stops inside the call sees a return address in the stub, which has
// no unwind table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace coracle::rewriter {

constexpr size_t kStubSize = 32;
constexpr size_t kJumpSize = 5;

using Stub = std::array<uint8_t, kStubSize>;
using Jump = std::array<uint8_t, kJumpSize>;

// `jmp rel32` at `from`; nothing if `to` is out of reach (2 GiB).
std::optional<Jump> make_jump(uint64_t from, uint64_t to);

// The stub for `address`; nothing if the slot or `back` is out of reach.
std::optional<Stub> make_stub(uint64_t address, uint32_t number, uint64_t slot, uint64_t back);

}  // namespace coracle::rewriter
