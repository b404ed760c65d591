// Which programs are valid: every instruction known, every jump forward and inside, no scratch word
// read that was not written, and a return at the end.
#include <algorithm>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/net/filter/bpf_program.h"

namespace coracle::net {

namespace {

bool is_known(uint16_t code) {
    switch (code) {
        case BPF_LD | BPF_W | BPF_ABS:
        case BPF_LD | BPF_H | BPF_ABS:
        case BPF_LD | BPF_B | BPF_ABS:
        case BPF_LD | BPF_W | BPF_IND:
        case BPF_LD | BPF_H | BPF_IND:
        case BPF_LD | BPF_B | BPF_IND:
        case BPF_LD | BPF_W | BPF_LEN:
        case BPF_LD | BPF_IMM:
        case BPF_LD | BPF_MEM:
        case BPF_LDX | BPF_W | BPF_LEN:
        case BPF_LDX | BPF_B | BPF_MSH:
        case BPF_LDX | BPF_IMM:
        case BPF_LDX | BPF_MEM:
        case BPF_ST:
        case BPF_STX:
        case BPF_MISC | BPF_TAX:
        case BPF_MISC | BPF_TXA:
        case BPF_RET | BPF_K:
        case BPF_RET | BPF_A:
        case BPF_JMP | BPF_JA:
        case BPF_ALU | BPF_NEG:
            return true;
    }
    const uint16_t operation = code & 0xf0;
    if ((code & ~(0xf0 | BPF_X)) == BPF_JMP) {
        return operation >= BPF_JEQ && operation <= BPF_JSET;
    }
    if ((code & ~(0xf0 | BPF_X)) != BPF_ALU) return false;
    return operation <= BPF_XOR && operation != BPF_NEG;
}

bool is_conditional_jump(const sock_filter& instruction) {
    return BPF_CLASS(instruction.code) == BPF_JMP && BPF_OP(instruction.code) != BPF_JA;
}

// SKF_AD_*: what loads beyond SKF_AD_OFF may name.
bool is_ancillary(uint32_t k) {
    const uint32_t which = k - static_cast<uint32_t>(SKF_AD_OFF);
    return which < SKF_AD_MAX && which % 4 == 0;
}

bool is_valid(const sock_filter& instruction, size_t at, size_t count) {
    const uint32_t k = instruction.k;
    if (!is_known(instruction.code)) return false;
    switch (instruction.code) {
        case BPF_ALU | BPF_DIV | BPF_K:
        case BPF_ALU | BPF_MOD | BPF_K:
            return k != 0;
        case BPF_ALU | BPF_LSH | BPF_K:
        case BPF_ALU | BPF_RSH | BPF_K:
            return k < 32;
        case BPF_LD | BPF_MEM:
        case BPF_LDX | BPF_MEM:
        case BPF_ST:
        case BPF_STX:
            return k < BPF_MEMWORDS;
        case BPF_JMP | BPF_JA:
            return k < count - at - 1;
        case BPF_LD | BPF_W | BPF_ABS:
        case BPF_LD | BPF_H | BPF_ABS:
        case BPF_LD | BPF_B | BPF_ABS:
            return k < static_cast<uint32_t>(SKF_AD_OFF) || is_ancillary(k);
    }
    if (!is_conditional_jump(instruction)) return true;
    return at + instruction.jt + 1 < count && at + instruction.jf + 1 < count;
}

// Whether every scratch word is written, on every way there, before it is read. `written` has a set
// for each instruction, all ones at first. As all jumps go forward, one pass is enough.
bool reads_what_was_written(std::span<const sock_filter> code, std::span<uint16_t> written) {
    uint16_t now = 0;
    for (size_t at = 0; at < code.size(); at++) {
        const sock_filter& instruction = code[at];
        now &= written[at];
        switch (instruction.code) {
            case BPF_ST:
            case BPF_STX:
                now |= static_cast<uint16_t>(1 << instruction.k);
                break;
            case BPF_LD | BPF_MEM:
            case BPF_LDX | BPF_MEM:
                if (!(now >> instruction.k & 1)) return false;
                break;
            case BPF_JMP | BPF_JA:
                written[at + 1 + instruction.k] &= now;
                now = 0xffff;
                break;
            default:
                if (!is_conditional_jump(instruction)) break;
                written[at + 1 + instruction.jt] &= now;
                written[at + 1 + instruction.jf] &= now;
                now = 0xffff;
        }
    }
    return true;
}

}  // namespace

Result<RefPtr<BpfProgram>> BpfProgram::create(std::span<const sock_filter> instructions) {
    const size_t count = instructions.size();
    if (count == 0 || count > kMaxInstructions) return Error(EINVAL);
    for (size_t at = 0; at < count; at++) {
        if (!is_valid(instructions[at], at, count)) return Error(EINVAL);
    }
    const uint16_t last = instructions.back().code;
    if (last != (BPF_RET | BPF_K) && last != (BPF_RET | BPF_A)) return Error(EINVAL);
    std::unique_ptr<uint16_t[]> written(new (std::nothrow) uint16_t[count]);
    std::unique_ptr<sock_filter[]> code(new (std::nothrow) sock_filter[count]);
    if (!written || !code) return Error(ENOMEM);
    std::fill_n(written.get(), count, uint16_t{0xffff});
    if (!reads_what_was_written(instructions, {written.get(), count})) return Error(EINVAL);
    std::copy(instructions.begin(), instructions.end(), code.get());
    return make_ref<BpfProgram>(std::move(code), count);
}

}  // namespace coracle::net
