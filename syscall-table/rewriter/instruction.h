// The shape of one x86-64 instruction, as far as the rewriter asks: how long it is, and whether it
// touches memory at an address made from a register.
//
// Errs to one side: bytes that are no instruction may be told to be one. An instruction's length is
// never told wrong (Intel SDM volume 2, chapter 2 and appendix A; tested against Zydis).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace coracle::rewriter {

struct Instruction {
    uint8_t length = 0;            // 0: no instruction, or longer than the bytes given
    uint8_t modrm_offset = 0;      // 0: it has no ModRM byte
    bool has_segment = false;      // a %fs or %gs prefix
    bool accesses_memory = false;  // a ModRM operand in memory that is read or written
};

constexpr size_t kMaxInstructionLength = 15;

Instruction decode_instruction(std::span<const uint8_t> bytes);

}  // namespace coracle::rewriter
