#include "libposix/libc/patcher/references.h"

#include <algorithm>
#include <map>

namespace coracle::patcher {
namespace {

struct Variable {
    uint64_t end;
    uint64_t start;
};

// Exported variables in writable memory, by their start. Aliases are one variable.
class Variables {
  public:
    Variables(const ElfImage& image, const std::vector<Export>& exports) {
        for (const Export& exported : exports) {
            const Symbol& symbol = *exported.implementation;
            if (symbol.type != STT_OBJECT || exported.symbol->version == "GLIBC_PRIVATE" ||
                !is_writable(image, symbol.value))
                continue;
            uint64_t& end = ends_[symbol.value];
            end = std::max(end, symbol.value + symbol.size);
        }
    }

    // The variable with the byte at this address, 0 if there is none.
    uint64_t find(uint64_t address) const {
        const auto after = ends_.upper_bound(address);
        if (after == ends_.begin()) return 0;
        const auto& [start, end] = *std::prev(after);
        return address < end ? start : 0;
    }

  private:
    static bool is_writable(const ElfImage& image, uint64_t address) {
        for (const Elf64_Phdr& segment : image.segments())
            if (segment.p_type == PT_LOAD && (segment.p_flags & PF_W) &&
                address >= segment.p_vaddr && address < segment.p_vaddr + segment.p_memsz)
                return true;
        return false;
    }

    std::map<uint64_t, uint64_t> ends_;
};

// Calls `visit` for each kept relocation of the image's loaded code.
template <typename Visit>
void for_each_code_relocation(const ElfImage& image, Visit visit) {
    for (const Elf64_Shdr& section : image.sections()) {
        if (section.sh_type != SHT_RELA || (section.sh_flags & SHF_ALLOC)) continue;
        const Elf64_Shdr& target = image.sections().at(section.sh_info);
        if ((target.sh_flags & SHF_ALLOC) == 0 || target.sh_type == SHT_NOBITS) continue;
        const bool is_code = (target.sh_flags & SHF_EXECINSTR) != 0;
        for (const Relocation& relocation : image.read_relocations(section))
            visit(relocation, is_code);
    }
}

bool is_pc_relative(uint32_t type) {
    return type == R_X86_64_PC32 || type == R_X86_64_GOTPCREL || type == R_X86_64_GOTPCRELX ||
           type == R_X86_64_REX_GOTPCRELX;
}

}  // namespace

std::vector<image::VariableReference> find_variable_references(
    const ElfImage& image, const CodeMap& code, const std::vector<Symbol>& symbols,
    const std::vector<Export>& exports, const std::vector<Relocation>& relative) {
    const Variables variables(image, exports);
    std::vector<image::VariableReference> references;
    for_each_code_relocation(image, [&](const Relocation& relocation, bool is_code) {
        if (!is_code || !is_pc_relative(relocation.type) || !code.contains(relocation.place))
            return;
        // What the instruction addresses now: the linker may have changed it from a GOT load.
        const uint64_t next = code.instructions()[code.find(relocation.place)].end();
        const auto distance = image.read<int32_t>(relocation.place);
        const Symbol& symbol = symbols.at(relocation.symbol);
        uint64_t variable = variables.find(next + distance);
        if (symbol.type == STT_OBJECT && variable != 0) variable = variables.find(symbol.value);
        if (variable == 0) return;
        references.push_back({static_cast<uint32_t>(variable),
                              static_cast<uint32_t>(relocation.place),
                              image::ReferenceKind::kPcRelative,
                              static_cast<int32_t>(relocation.place + distance - variable)});
    });
    for (const Relocation& relocation : relative)
        if (const uint64_t variable = variables.find(relocation.addend))
            references.push_back({static_cast<uint32_t>(variable),
                                  static_cast<uint32_t>(relocation.place),
                                  image::ReferenceKind::kAddress,
                                  static_cast<int32_t>(relocation.addend - variable)});
    std::sort(references.begin(), references.end(), [](const auto& a, const auto& b) {
        return a.variable != b.variable ? a.variable < b.variable : a.place < b.place;
    });
    return references;
}

TlsReferences restore_tls_loads(ElfImage& image, uint64_t slots, uint64_t slots_end) {
    uint64_t block = 0;  // The distance of the block's start from the thread pointer.
    for (const Elf64_Phdr& segment : image.segments())
        if (segment.p_type == PT_TLS)
            block = (segment.p_memsz + segment.p_align - 1) / segment.p_align * segment.p_align;
    TlsReferences result;
    std::map<int32_t, uint64_t> slot_of;  // By the variable's distance.
    for_each_code_relocation(image, [&](const Relocation& relocation, bool is_code) {
        if (!is_code) return;
        const uint64_t place = relocation.place;
        if (relocation.type == R_X86_64_TPOFF32) result.places.push_back(place);
        if (relocation.type != R_X86_64_GOTTPOFF) return;
        const auto rex = image.read<uint8_t>(place - 3);
        const auto opcode = image.read<uint8_t>(place - 2);
        const auto modrm = image.read<uint8_t>(place - 1);
        uint8_t load;
        // mov $x,reg from mov; lea x(reg),reg or add $x,reg from add (psABI, TLS relaxation).
        if (opcode == 0xc7 && (modrm & 0xf8) == 0xc0) {
            load = 0x8b;
        } else if ((opcode == 0x81 && (modrm & 0xf8) == 0xc0) ||
                   (opcode == 0x8d && (modrm >> 3 & 7) == (modrm & 7) && modrm >> 6 == 2)) {
            load = 0x03;
        } else {
            throw Error("unknown access to a thread-local variable at " + std::to_string(place));
        }
        const bool extended = (rex & 1) != 0;
        if ((rex & 0xf8) != 0x48) throw Error("unexpected prefix at " + std::to_string(place));
        const auto distance = image.read<int32_t>(place);
        const auto [entry, is_new] = slot_of.emplace(distance, slots + 8 * slot_of.size());
        const uint64_t slot = entry->second;
        if (slot + 8 > slots_end) throw Error("too many thread-local variables for their slots");
        if (is_new)
            result.relocations.push_back(
                {slot, R_X86_64_TPOFF64, 0, distance + static_cast<int64_t>(block)});
        image.write<uint8_t>(place - 3, extended ? 0x4c : 0x48);
        image.write<uint8_t>(place - 2, load);
        image.write<uint8_t>(place - 1, static_cast<uint8_t>((modrm & 7) << 3 | 5));
        image.write<int32_t>(place, static_cast<int32_t>(slot - (place + 4)));
    });
    return result;
}

}  // namespace coracle::patcher
