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

constexpr int kVectors = 16;  // xmm0 to xmm15 follow the arguments' bits.
constexpr Registers kGeneral = (1U << kArguments.size()) - 1;
constexpr Registers kAll = (1U << (kArguments.size() + kVectors)) - 1;

bool is_vector(ZydisRegister reg) {
    return whole(reg) >= ZYDIS_REGISTER_ZMM0 && whole(reg) < ZYDIS_REGISTER_ZMM0 + kVectors;
}

Registers register_bit(ZydisRegister reg) {
    if (is_vector(reg)) return 1U << (kArguments.size() + (whole(reg) - ZYDIS_REGISTER_ZMM0));
    const auto found = std::ranges::find(kArguments, whole(reg));
    return found == kArguments.end() ? 0 : 1U << (found - kArguments.begin());
}

// A 32-bit result clears the upper half of a general register.
bool overwrites(const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           (operand.actions & ZYDIS_OPERAND_ACTION_WRITE) &&
           operand.size >= (is_vector(operand.reg.value) ? 128 : 32);
}

Registers read_registers(const DecodedInstruction& decoded) {
    Registers read = 0;
    for (int i = 0; i < decoded.instruction.operand_count; ++i) {
        const ZydisDecodedOperand& operand = decoded.operands[i];
        if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY)
            read |= register_bit(operand.mem.base) | register_bit(operand.mem.index);
        if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
        // A partial or conditional write keeps the rest.
        const bool partial =
            (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
            (!overwrites(operand) || (operand.actions & ZYDIS_OPERAND_ACTION_CONDWRITE));
        if ((operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) || partial)
            read |= register_bit(operand.reg.value);
    }
    return read;
}

Registers overwritten_registers(const DecodedInstruction& decoded) {
    Registers written = 0;
    for (int i = 0; i < decoded.instruction.operand_count; ++i)
        if (overwrites(decoded.operands[i])) written |= register_bit(decoded.operands[i].reg.value);
    return written;
}

bool is_cleared_register(const DecodedInstruction& decoded) {
    const ZydisMnemonic mnemonic = decoded.instruction.mnemonic;
    return (mnemonic == ZYDIS_MNEMONIC_XOR || mnemonic == ZYDIS_MNEMONIC_PXOR ||
            mnemonic == ZYDIS_MNEMONIC_XORPS) &&
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

CallProof::CallProof(const CodeMap& code, const ObjectRanges& objects,
                     std::vector<KnownCallee> callees)
    : code_(code), objects_(objects), callees_(std::move(callees)) {
    for (const Instruction& instruction : code.instructions()) {
        const auto target = direct_target(code.decode(instruction), instruction.address);
        if (target) branches_.push_back({instruction.address, *target});
    }
    std::ranges::sort(branches_, {}, &Branch::to);
}

// To what is behind the calls of the function in its object.
std::optional<CallProof::Step> CallProof::go_back(const Symbol& function, Step step, Registers live,
                                                  unsigned depth) const {
    constexpr unsigned kMaxTailCalls = 8;
    const auto object = objects_.find(function.value);
    if (!object || depth == kMaxTailCalls) return std::nullopt;
    auto branch = std::ranges::lower_bound(branches_, function.value, {}, &Branch::to);
    for (; branch != branches_.end() && covers(function, branch->to); ++branch) {
        if (covers(function, branch->from) || objects_.find(branch->from) != object) continue;
        const Instruction& instruction = code_.instructions()[code_.find(branch->from)];
        if (code_.decode(instruction).instruction.meta.category == ZYDIS_CATEGORY_CALL) {
            step.next.push_back({instruction.end(), live});
            continue;
        }
        const Symbol* caller = code_.function_at(branch->from);
        if (!caller) return std::nullopt;
        auto further = go_back(*caller, std::move(step), live, depth + 1);
        if (!further) return std::nullopt;
        step = std::move(*further);
    }
    return step;
}

// A function of another object file loses all of the registers, and takes no vectors: what makes a
// system call computes nothing in floating point.
std::optional<CallProof::Step> CallProof::leave(std::optional<uint64_t> callee,
                                                const Symbol& function, Step step,
                                                Registers live) const {
    const auto known = std::ranges::find_if(
        callees_, [&](const KnownCallee& known) { return known.address == callee; });
    if (known != callees_.end()) {
        step.used |= live & known->arguments;
        return step;
    }
    if (live & kGeneral) return std::nullopt;
    const bool is_near = !callee || objects_.find(*callee) == objects_.find(function.value);
    if (is_near) return std::nullopt;
    return step;
}

std::optional<CallProof::Step> CallProof::follow(const Path& path) const {
    // Functions that were static have callers in their object.
    const Symbol* function = code_.function_at(path.address);
    const Instruction& instruction = code_.instructions()[code_.find(path.address)];
    if (function == nullptr || instruction.address != path.address) return std::nullopt;
    const DecodedInstruction decoded = code_.decode(instruction);
    Registers live = path.live;
    Step step;
    if (!is_cleared_register(decoded)) {
        step.used = read_registers(decoded) & live;
        if (step.used & ~kGeneral) return std::nullopt;
        live &= ~step.used;
    }
    live &= ~overwritten_registers(decoded);
    const auto category = decoded.instruction.meta.category;
    const auto target = direct_target(decoded, path.address);
    const bool stays = target && covers(*function, *target);
    const bool is_jump = category == ZYDIS_CATEGORY_UNCOND_BR;
    if (category == ZYDIS_CATEGORY_RET) return go_back(*function, std::move(step), live);
    if (category == ZYDIS_CATEGORY_CALL || (is_jump && !stays))
        return leave(target, *function, std::move(step), live);
    if (category == ZYDIS_CATEGORY_COND_BR && !stays) return std::nullopt;
    if (category == ZYDIS_CATEGORY_SYSCALL || category == ZYDIS_CATEGORY_INTERRUPT ||
        category == ZYDIS_CATEGORY_SYSTEM) {
        step.used |= live & kGeneral;
        live &= ~kGeneral;
    }
    if (target) step.next.push_back({*target, live});
    if (!is_jump) step.next.push_back({instruction.end(), live});
    return step;
}

std::optional<Registers> CallProof::used_registers(size_t site) const {
    constexpr size_t kMaxSteps = 4000;
    Registers used = 0;
    std::vector<Path> work{{code_.instructions()[site].end(), kAll}};
    std::map<uint64_t, Registers> seen;
    for (size_t steps = 0; !work.empty(); ++steps) {
        if (steps == kMaxSteps) return std::nullopt;
        const Path path = work.back();
        work.pop_back();
        Registers& known = seen[path.address];
        if ((known | path.live) == known) continue;
        known |= path.live;
        const auto step = follow({path.address, known});
        if (!step) return std::nullopt;
        used |= step->used;
        work.insert(work.end(), step->next.begin(), step->next.end());
    }
    return used;
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
