// The instructions of the image's code, found by decoding each function from its start.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <map>
#include <vector>

#include "libposix/libc/patcher/elf_image.h"

namespace coracle::patcher {

struct Instruction {
    uint64_t address;
    uint8_t length;
    uint64_t end() const { return address + length; }
};

struct DecodedInstruction {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

class CodeMap {
  public:
    // Decodes everything between `start` and `end`. The linker fills gaps with instructions too.
    // Symbols of functions restart the decoder, should data have led it astray.
    CodeMap(const ElfImage& image, const std::vector<Symbol>& symbols);

    const std::vector<Instruction>& instructions() const { return instructions_; }
    // The instruction that has the byte at this address, as an index; Error if there is none.
    size_t find(uint64_t address) const;
    bool contains(uint64_t address) const;
    DecodedInstruction decode(const Instruction& instruction) const;

    // True if a jump or a call may lead to the address, or a function starts there.
    bool is_target(uint64_t address) const;
    // The function symbol that covers the address, or null.
    const Symbol* function_at(uint64_t address) const;

  private:
    void decode_section(const Elf64_Shdr& section);
    void find_jump_tables();

    const ElfImage& image_;
    ZydisDecoder decoder_;
    std::map<uint64_t, const Symbol*> functions_;
    std::vector<Instruction> instructions_;
    std::vector<uint64_t> targets_;         // Sorted.
    std::vector<uint64_t> data_addresses_;  // That code loads.
};

}  // namespace coracle::patcher
