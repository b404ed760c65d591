#include "syscall-table/rewriter/site.h"

#include "syscall-table/rewriter/instruction.h"

namespace coracle::rewriter {

static_assert(kLookBehind == kMaxInstructionLength);

namespace {

constexpr uint8_t kMovToEax = 0xb8;
constexpr uint64_t kMaxNumber = 4096;  // any address made of two of them is in the unmapped pages

uint32_t read_u32(const uint8_t* bytes) {
    return bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

// Whether the operand is in memory at imm32(%rax), the ModRM byte being the b8, or at (%rax).
bool would_fault(const Instruction& instruction, std::span<const uint8_t> bytes) {
    if (!instruction.accesses_memory || instruction.has_segment) return false;
    const size_t behind = bytes.size() - instruction.modrm_offset;  // with the ModRM byte
    const uint8_t modrm = bytes[instruction.modrm_offset];
    return (modrm == kMovToEax && behind == kMovSize) || (modrm == 0 && behind == 1);
}

// The mov itself behind a prefix that changes neither it nor a jump: a segment that 64-bit mode
// ignores, or REX without W and B.
bool is_same_mov(std::span<const uint8_t> bytes) {
    if (bytes.size() != kMovSize + 1) return false;
    const uint8_t prefix = bytes[0];
    return prefix == 0x26 || prefix == 0x2e || prefix == 0x36 || prefix == 0x3e ||
           (prefix & 0xf9) == 0x40;
}

}  // namespace

bool is_rewritable(std::span<const uint8_t> before, uint64_t rax) {
    if (before.size() < kMovSize || rax >= kMaxNumber) return false;
    const std::span<const uint8_t> mov = before.last(kMovSize);
    if (mov[0] != kMovToEax || read_u32(&mov[1]) != rax) return false;
    for (size_t length = 1; length <= kLookBehind && length <= before.size(); ++length) {
        if (length == kMovSize) continue;
        const std::span<const uint8_t> bytes = before.last(length);
        const Instruction other = decode_instruction(bytes);
        if (other.length == length && !would_fault(other, bytes) && !is_same_mov(bytes)) {
            return false;
        }
    }
    return true;
}

}  // namespace coracle::rewriter
