#include "libposix/libc/patcher/code_map.h"

#include <algorithm>

namespace coracle::patcher {

CodeMap::CodeMap(const ElfImage& image, const std::vector<Symbol>& symbols) : image_(image) {
    ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    for (const Symbol& symbol : symbols) {
        if ((symbol.type != STT_FUNC && symbol.type != STT_GNU_IFUNC) ||
            symbol.section == SHN_UNDEF)
            continue;
        const Symbol*& function = functions_[symbol.value];
        if (function == nullptr || function->size < symbol.size) function = &symbol;
        targets_.push_back(symbol.value);
    }
    for (const Elf64_Shdr& section : image.sections())
        if (section.sh_flags & SHF_EXECINSTR) decode_section(section);
    find_jump_tables();
    std::sort(targets_.begin(), targets_.end());
}

// An entry of a jump table is a distance from the table's start, which code loads the address of.
void CodeMap::find_jump_tables() {
    std::sort(data_addresses_.begin(), data_addresses_.end());
    for (const Elf64_Shdr& section : image_.sections()) {
        if (section.sh_type != SHT_RELA || (section.sh_flags & SHF_ALLOC) ||
            image_.section_name(image_.sections().at(section.sh_info)) != ".rodata")
            continue;
        for (const Relocation& relocation : image_.read_relocations(section)) {
            if (relocation.type != R_X86_64_PC32) continue;
            const auto after =
                std::upper_bound(data_addresses_.begin(), data_addresses_.end(), relocation.place);
            if (after == data_addresses_.begin()) continue;
            targets_.push_back(*std::prev(after) + image_.read<int32_t>(relocation.place));
        }
    }
}

void CodeMap::decode_section(const Elf64_Shdr& section) {
    const uint64_t end = section.sh_addr + section.sh_size;
    uint64_t address = section.sh_addr;
    while (address < end) {
        const auto next = functions_.upper_bound(address);
        const uint64_t limit = next == functions_.end() ? end : std::min(end, next->first);
        ZydisDecodedInstruction decoded;
        ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
        const uint8_t* bytes = image_.at(address, limit - address);
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeFull(&decoder_, bytes, limit - address, &decoded, operands))) {
            // Padding, or an instruction newer than the decoder: nothing that is rewritten.
            ++address;
            continue;
        }
        instructions_.push_back({address, decoded.length});
        if (decoded.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
            operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
            ZyanU64 target;
            ZydisCalcAbsoluteAddress(&decoded, &operands[0], address, &target);
            targets_.push_back(target);
        }
        if (decoded.mnemonic == ZYDIS_MNEMONIC_LEA && operands[1].mem.base == ZYDIS_REGISTER_RIP)
            data_addresses_.push_back(address + decoded.length + operands[1].mem.disp.value);
        address += decoded.length;
    }
}

bool CodeMap::contains(uint64_t address) const {
    const auto after = std::upper_bound(
        instructions_.begin(), instructions_.end(), address,
        [](uint64_t value, const Instruction& instruction) { return value < instruction.address; });
    return after != instructions_.begin() && address < std::prev(after)->end();
}

size_t CodeMap::find(uint64_t address) const {
    if (!contains(address)) throw Error("no instruction at address " + std::to_string(address));
    const auto after = std::upper_bound(
        instructions_.begin(), instructions_.end(), address,
        [](uint64_t value, const Instruction& instruction) { return value < instruction.address; });
    return static_cast<size_t>(std::prev(after) - instructions_.begin());
}

DecodedInstruction CodeMap::decode(const Instruction& instruction) const {
    DecodedInstruction result;
    if (!ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&decoder_, image_.at(instruction.address, instruction.length),
                                   instruction.length, &result.instruction, result.operands)))
        throw Error("undecodable instruction at " + std::to_string(instruction.address));
    return result;
}

bool CodeMap::is_target(uint64_t address) const {
    return std::binary_search(targets_.begin(), targets_.end(), address);
}

const Symbol* CodeMap::function_at(uint64_t address) const {
    auto after = functions_.upper_bound(address);
    if (after == functions_.begin()) return nullptr;
    const Symbol* function = std::prev(after)->second;
    return address < function->value + function->size ? function : nullptr;
}

}  // namespace coracle::patcher
