// The code by which a patched site enters the kernel.
#pragma once

#include "libposix/libc/patcher/call_proof.h"
#include "libposix/libc/patcher/moved_code.h"

namespace coracle::patcher {

constexpr int kMaxSaved = 3;  // registers around a C call

// How a site enters the kernel.
struct Entry {
    uint64_t pointer;  // The slot or the entry's.
    bool is_c_call;
    bool fourth_argument;  // In r10; C functions have it in rcx.
    Registers saved;       // Around the call.
};

// What a stub pushes before it calls: nothing, one register, or kMaxSaved, of which some may be
// the same.
std::vector<Registers> frame_of(Registers saved);

// mov $number,%eax
void append_number(CodeBuffer& code, uint32_t number);

// Enters the kernel and goes on behind.
void append_call_into_kernel(CodeBuffer& code, const Entry& entry);

// Enters the kernel and returns to the stub's caller: the end of a stub.
void append_jump_into_kernel(CodeBuffer& code, const Entry& entry);

}  // namespace coracle::patcher
