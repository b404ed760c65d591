#include "libposix/libc/patcher/site_entry.h"

namespace coracle::patcher {
namespace {

constexpr uint8_t kReturn = 0xc3;

enum StackMove : uint8_t { kPush = 0x50, kPop = 0x58 };

void append_move(CodeBuffer& code, StackMove move, Registers reg) {
    const auto opcode = [&](uint8_t number) { return static_cast<uint8_t>(move + number); };
    if (reg == kRdi) code.bytes({opcode(7)});
    if (reg == kRsi) code.bytes({opcode(6)});
    if (reg == kRdx) code.bytes({opcode(2)});
    if (reg == kR10) code.bytes({0x41, opcode(2)});
    if (reg == kR8) code.bytes({0x41, opcode(0)});
    if (reg == kR9) code.bytes({0x41, opcode(1)});
}

void append_fourth_argument(CodeBuffer& code, const Entry& entry) {
    if (entry.is_c_call && entry.fourth_argument) code.bytes({0x4c, 0x89, 0xd1});  // mov %r10,%rcx
}

}  // namespace

std::vector<Registers> frame_of(Registers saved) {
    std::vector<Registers> frame;
    for (Registers reg = 1; reg <= saved; reg <<= 1)
        if (saved & reg) frame.push_back(reg);
    if (frame.size() > 1) frame.resize(kMaxSaved, frame.back());
    return frame;
}

void append_call_into_kernel(CodeBuffer& code, const Entry& entry) {
    const std::vector<Registers> frame = frame_of(entry.saved);
    for (const Registers reg : frame) append_move(code, kPush, reg);
    append_fourth_argument(code, entry);
    code.call_through(entry.pointer);
    for (auto reg = frame.rbegin(); reg != frame.rend(); ++reg) append_move(code, kPop, *reg);
}

void append_number(CodeBuffer& code, uint32_t number) {
    code.bytes({0xb8});  // mov $number,%eax
    code.word(number);
}

void append_jump_into_kernel(CodeBuffer& code, const Entry& entry) {
    if (entry.saved) {
        append_call_into_kernel(code, entry);
        code.bytes({kReturn});
        return;
    }
    append_fourth_argument(code, entry);
    code.jump_through(entry.pointer);
}

}  // namespace coracle::patcher
