#include "libposix/libc/patcher/moved_code.h"

#include <cstring>
#include <span>

namespace coracle::patcher {
namespace {

bool is_stack_pointer(ZydisRegister reg) {
    return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg) == ZYDIS_REGISTER_RSP;
}

std::span<const ZydisDecodedOperand> all_operands(const DecodedInstruction& decoded) {
    return {decoded.operands, decoded.instruction.operand_count};
}

}  // namespace

void CodeBuffer::bytes(std::initializer_list<uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void CodeBuffer::word(uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8)
        bytes_.push_back(static_cast<uint8_t>(value >> shift));
}

void CodeBuffer::distance_to(uint64_t target) {
    word(static_cast<uint32_t>(target - (end() + sizeof(uint32_t))));
}

void CodeBuffer::jump(uint64_t target) {
    bytes({0xe9});
    distance_to(target);
}

void CodeBuffer::jump_through(uint64_t pointer) {
    bytes({0xff, 0x25});
    distance_to(pointer);
}

void CodeBuffer::call_through(uint64_t pointer) {
    bytes({0xff, 0x15});
    distance_to(pointer);
}

bool CodeBuffer::move(DecodedInstruction decoded, uint64_t from, int64_t pushed) {
    if (decoded.instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE ||
        decoded.instruction.meta.category == ZYDIS_CATEGORY_SYSCALL)
        return false;
    for (const ZydisDecodedOperand& operand : all_operands(decoded))
        if (pushed != 0 && operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
            is_stack_pointer(operand.reg.value))
            return false;
    ZydisEncoderRequest request;
    if (!ZYAN_SUCCESS(ZydisEncoderDecodedInstructionToEncoderRequest(
            &decoded.instruction, decoded.operands, decoded.instruction.operand_count_visible,
            &request)))
        return false;
    for (int i = 0; i < request.operand_count; ++i) {
        ZydisEncoderOperand& operand = request.operands[i];
        if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
        if (is_stack_pointer(operand.mem.base)) operand.mem.displacement += pushed;
        if (operand.mem.base == ZYDIS_REGISTER_RIP)
            operand.mem.displacement += static_cast<int64_t>(from + decoded.instruction.length);
    }
    uint8_t encoded[ZYDIS_MAX_INSTRUCTION_LENGTH];
    ZyanUSize length = sizeof(encoded);
    if (!ZYAN_SUCCESS(ZydisEncoderEncodeInstructionAbsolute(&request, encoded, &length, end())))
        return false;
    bytes_.insert(bytes_.end(), encoded, encoded + length);
    return true;
}

bool uses_red_zone(const CodeMap& code, uint64_t address) {
    const Symbol* function = code.function_at(address);
    if (function == nullptr) return true;  // Nothing is known: the safe answer.
    const uint64_t end = function->value + function->size;
    const auto& instructions = code.instructions();
    for (size_t i = code.find(function->value);
         i < instructions.size() && instructions[i].address < end; ++i) {
        const DecodedInstruction decoded = code.decode(instructions[i]);
        for (const ZydisDecodedOperand& operand : all_operands(decoded))
            if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
                operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
                decoded.instruction.mnemonic != ZYDIS_MNEMONIC_LEA &&
                is_stack_pointer(operand.mem.base) && operand.mem.disp.value < 0)
                return true;
    }
    return false;
}

}  // namespace coracle::patcher
