#include "libposix/libc/patcher/call_proof.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>

namespace coracle::patcher {
namespace {

constexpr std::array kArguments = {ZYDIS_REGISTER_RDI, ZYDIS_REGISTER_RSI, ZYDIS_REGISTER_RDX,
                                   ZYDIS_REGISTER_R10, ZYDIS_REGISTER_R8,  ZYDIS_REGISTER_R9};

ZydisRegister whole(ZydisRegister reg) {
    return ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
}

uint32_t argument_bit(ZydisRegister reg) {
    const auto found = std::ranges::find(kArguments, whole(reg));
    return found == kArguments.end() ? 0 : 1U << (found - kArguments.begin());
}

// A 32-bit result clears the upper half.
bool overwrites(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           (operand.actions & ZYDIS_OPERAND_ACTION_WRITE) && operand.size >= 32;
}

uint32_t read_arguments(const DecodedInstruction& decoded) {
    uint32_t read = 0;
    for (int i = 0; i < decoded.instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = decoded.operands[i];
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY)
            read |= argument_bit(operand.mem.base) | argument_bit(operand.mem.index);
        if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        // A partial or conditional write keeps the rest.
        const bool partial =
            (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
            (!overwrites(operand) || (operand.actions & ZYDIS_OPERAND_ACTION_CONDWRITE));
        if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) || partial)
            read |= argument_bit(operand.reg.value);
    }
    return read;
}

uint32_t overwritten_arguments(const DecodedInstruction& decoded) {
    uint32_t written = 0;
    for (int i = 0; i < decoded.instruction.operand_count; ++i)
        if (overwrites(decoded.operands[i])) written |= argument_bit(decoded.operands[i].reg.value);
    return written;
}

bool is_cleared_register(const DecodedInstruction& decoded) {
    return decoded.instruction.mnemonic == ZYDIS_MNEMONIC_XOR &&
           decoded.operands[0].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           decoded.operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
           decoded.operands[0].reg.value == decoded.operands[1].reg.value;
}

bool writes(const DecodedInstruction& decoded, ZydisRegister reg) {
    for (int i = 0; i < decoded.instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = decoded.operands[i];
        if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && whole(operand.reg.value) == reg &&
            (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            return true;
    }
    return false;
}

std::optional<uint64_t> direct_target(const DecodedInstruction& decoded, uint64_t address) {
    if (decoded.instruction.meta.branch_type == ZYDIS_BRANCH_TYPE_NONE ||
        decoded.operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
        return std::nullopt;
    ZyanU64 target;
    ZydisCalcAbsoluteAddress(&decoded.instruction, &decoded.operands[0], address, &target);
    return target;
}

bool covers(const Symbol& function, uint64_t address) {
    return address >= function.value && address < function.value + function.size;
}

}  // namespace

// Lines ` .text  0xADDRESS 0xSIZE FILE`; a long section name has a line of its own before.
ObjectRanges::ObjectRanges(const std::string& map_path) {
    std::ifstream file(map_path);
    bool in_code = false;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string first, second, third;
        words >> first >> second >> third;
        if (!line.empty() && line[0] == ' ' && line.size() > 1 && line[1] == '.') {
            in_code = first.starts_with(".text");
            if (second.empty()) continue;
        } else {
            third = second;
            second = first;
        }
        if (!in_code || !second.starts_with("0x") || !third.starts_with("0x")) continue;
        const uint64_t start = std::stoull(second, nullptr, 16);
        const uint64_t size = std::stoull(third, nullptr, 16);
        if (start != 0 && size != 0) ends_[start] = start + size;
    }
    if (ends_.empty()) throw Error(map_path + ": has no code");
}

std::optional<uint64_t> ObjectRanges::find(uint64_t address) const {
    const auto after = ends_.upper_bound(address);
    if (after == ends_.begin() || address >= std::prev(after)->second) return std::nullopt;
    return std::prev(after)->first;
}

CallProof::CallProof(const CodeMap& code, const ObjectRanges& objects, uint64_t abort_function)
    : code_(code), objects_(objects), abort_function_(abort_function) {
    for (const Instruction& instruction : code.instructions()) {
        const auto target = direct_target(code.decode(instruction), instruction.address);
        if (target) branches_.push_back({instruction.address, *target});
    }
    std::ranges::sort(branches_, {}, &Branch::to);
}

bool CallProof::has_callers_in_object(const Symbol& function) const {
    const auto object = objects_.find(function.value);
    if (!object) return true;
    auto branch = std::ranges::lower_bound(branches_, function.value, {}, &Branch::to);
    for (; branch != branches_.end() && covers(function, branch->to); ++branch)
        if (!covers(function, branch->from) && objects_.find(branch->from) == object) return true;
    return false;
}

CallProof::Step CallProof::follow(const DecodedInstruction& decoded, const Symbol& function,
                                  Registers& live, uint64_t next,
                                  std::optional<uint64_t>& target) const {
    const uint64_t address = next - decoded.instruction.length;
    if (!is_cleared_register(decoded) && (read_arguments(decoded) & live)) return Step::kFails;
    live &= ~overwritten_arguments(decoded);
    if (live == 0) return Step::kEnds;
    switch (decoded.instruction.meta.category) {
        case ZYDIS_CATEGORY_RET:
            return has_callers_in_object(function) ? Step::kFails : Step::kEnds;
        case ZYDIS_CATEGORY_CALL:
            // Without arguments, and it does not return.
            return direct_target(decoded, address) == abort_function_ ? Step::kEnds : Step::kFails;
        case ZYDIS_CATEGORY_UNCOND_BR:
        case ZYDIS_CATEGORY_COND_BR:
            target = direct_target(decoded, address);
            return target && covers(function, *target) ? Step::kContinues : Step::kFails;
        case ZYDIS_CATEGORY_SYSCALL:
        case ZYDIS_CATEGORY_INTERRUPT:
        case ZYDIS_CATEGORY_SYSTEM:
            return Step::kFails;
        default:
            return Step::kContinues;
    }
}

bool CallProof::registers_are_dead(size_t site) const {
    constexpr size_t kMaxSteps = 400;
    const auto& instructions = code_.instructions();
    const Symbol* function = code_.function_at(instructions[site].address);
    // Functions that were static have callers in their object.
    if (function == nullptr) return false;
    struct State {
        uint64_t address;
        Registers live;
    };
    std::vector<State> work{{instructions[site].end(), (1U << kArguments.size()) - 1}};
    std::map<uint64_t, Registers> seen;
    for (size_t steps = 0; !work.empty(); ++steps) {
        if (steps == kMaxSteps) return false;
        const State state = work.back();
        work.pop_back();
        Registers& known = seen[state.address];
        if ((known | state.live) == known) continue;
        known |= state.live;
        if (!covers(*function, state.address)) return false;
        const Instruction& instruction = instructions[code_.find(state.address)];
        if (instruction.address != state.address) return false;
        Registers live = known;
        std::optional<uint64_t> target;
        const DecodedInstruction decoded = code_.decode(instruction);
        const Step step = follow(decoded, *function, live, instruction.end(), target);
        if (step == Step::kFails) return false;
        if (step == Step::kEnds) continue;
        if (target) work.push_back({*target, live});
        if (decoded.instruction.meta.category != ZYDIS_CATEGORY_UNCOND_BR)
            work.push_back({instruction.end(), live});
    }
    return true;
}

std::optional<uint32_t> CallProof::number(size_t site) const {
    const auto& instructions = code_.instructions();
    for (size_t i = site; i > 0; --i) {
        if (code_.is_target(instructions[i].address) ||
            instructions[i - 1].end() != instructions[i].address)
            return std::nullopt;
        const DecodedInstruction decoded = code_.decode(instructions[i - 1]);
        if (decoded.instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) {
            // The way that does not jump goes straight on.
            if (decoded.instruction.meta.category == ZYDIS_CATEGORY_COND_BR) continue;
            return std::nullopt;
        }
        if (!writes(decoded, ZYDIS_REGISTER_RAX)) continue;
        if (is_cleared_register(decoded)) return 0;
        if (decoded.instruction.mnemonic == ZYDIS_MNEMONIC_MOV &&
            decoded.operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            return static_cast<uint32_t>(decoded.operands[1].imm.value.u);
        return std::nullopt;
    }
    return std::nullopt;
}

bool CallProof::may_have_fourth_argument(size_t site) const {
    const auto& instructions = code_.instructions();
    const Symbol* function = code_.function_at(instructions[site].address);
    if (function == nullptr) return true;
    for (size_t i = code_.find(function->value);
         i < instructions.size() && covers(*function, instructions[i].address); ++i)
        if (writes(code_.decode(instructions[i]), ZYDIS_REGISTER_R10)) return true;
    return false;
}

}  // namespace coracle::patcher
