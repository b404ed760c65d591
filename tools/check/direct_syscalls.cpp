#include "tools/check/direct_syscalls.h"

#include <Zydis/Zydis.h>
#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "tools/image/tree.h"

namespace coracle {
namespace {

constexpr size_t kWindow = 48;  // Bytes before a `syscall` that are looked at.
constexpr uint8_t kSyscall[] = {0x0f, 0x05};

class Scanner {
  public:
    Scanner() { ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }

    // Whether decoding from `start` arrives at `site`; then `number` is what rax holds there, as
    // far as constants tell.
    bool arrives(std::span<const uint8_t> code, size_t start, size_t site,
                 std::optional<uint32_t>& number) {
        number.reset();
        while (start < site) {
            ZydisDecodedInstruction instruction;
            ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
            if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(
                    &decoder_, code.data() + start, code.size() - start, &instruction, operands))) {
                return false;
            }
            follow(instruction, operands, number);
            start += instruction.length;
        }
        return start == site;
    }

  private:
    static bool is_rax(const ZydisDecodedOperand& operand) {
        return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
               ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value) ==
                   ZYDIS_REGISTER_RAX;
    }

    static void follow(const ZydisDecodedInstruction& instruction,
                       const ZydisDecodedOperand* operands, std::optional<uint32_t>& number) {
        // Behind a jump or return another path may join.
        bool leaves = instruction.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
                      instruction.meta.category != ZYDIS_CATEGORY_COND_BR;
        if (leaves || instruction.mnemonic == ZYDIS_MNEMONIC_SYSCALL) number.reset();
        for (size_t i = 0; i < instruction.operand_count; ++i) {
            if (!is_rax(operands[i]) || !(operands[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE)) {
                continue;
            }
            number.reset();
            const ZydisDecodedOperand& source = operands[1];
            bool whole = operands[i].size >= 32;
            if (instruction.mnemonic == ZYDIS_MNEMONIC_MOV && whole &&
                source.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
                number = static_cast<uint32_t>(source.imm.value.u);
            } else if (instruction.mnemonic == ZYDIS_MNEMONIC_XOR && whole && i == 0 &&
                       is_rax(source)) {
                number = 0;
            }
            return;
        }
    }

    ZydisDecoder decoder_;
};

}  // namespace

void scan_code(std::span<const uint8_t> code, DirectSyscalls& found) {
    static Scanner scanner;
    auto at = code.begin();
    while ((at = std::search(at, code.end(), std::begin(kSyscall), std::end(kSyscall))) !=
           code.end()) {
        auto site = static_cast<size_t>(at - code.begin());
        at += sizeof(kSyscall);
        // Decoding falls into step with the instructions after a few of them, so the starts that
        // are furthest away are the ones to believe.
        size_t arrived = 0, tried = 0;
        std::optional<uint32_t> number, first;
        for (size_t start = site - std::min(site, kWindow); start <= site; ++start) {
            ++tried;
            if (!scanner.arrives(code, start, site, number)) continue;
            if (arrived++ == 0 || !first) first = number;
        }
        if (arrived * 2 < tried) continue;
        if (first && *first < 1024) {
            found.numbers.insert(*first);
        } else {
            ++found.unknown_sites;
        }
    }
}

DirectSyscalls scan_file(const std::string& host_path) {
    DirectSyscalls found;
    std::string bytes = read_host_file(host_path).value_or("");
    Elf64_Ehdr header;
    if (bytes.size() < sizeof(header)) return found;
    std::memcpy(&header, bytes.data(), sizeof(header));
    for (size_t i = 0; i < header.e_phnum; ++i) {
        Elf64_Phdr segment;
        uint64_t offset = header.e_phoff + i * sizeof(segment);
        if (offset > bytes.size() - std::min(bytes.size(), sizeof(segment))) break;
        std::memcpy(&segment, bytes.data() + offset, sizeof(segment));
        if (segment.p_type != PT_LOAD || !(segment.p_flags & PF_X)) continue;
        if (segment.p_offset > bytes.size() || segment.p_filesz > bytes.size() - segment.p_offset) {
            continue;
        }
        scan_code(
            {reinterpret_cast<const uint8_t*>(bytes.data()) + segment.p_offset, segment.p_filesz},
            found);
    }
    return found;
}

}  // namespace coracle
