#include "libposix/signals/symbol_lookup.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace coracle {
namespace {

// One ELF file, read out of its page cache. Nothing in it is trusted: what does not lie in the
// file is not read, and loops have bounds.
class SymbolFile {
  public:
    explicit SymbolFile(MemoryObject& object) : object_(object) {}

    bool read_header() {
        return read_at(0, &header_, sizeof(header_)) &&
               memcmp(header_.e_ident, ELFMAG, SELFMAG) == 0 &&
               header_.e_ident[EI_CLASS] == ELFCLASS64 && header_.e_phentsize == sizeof(Elf64_Phdr);
    }

    bool to_virtual_address(uint64_t file_offset, uint64_t& address) {
        Elf64_Phdr segment;
        for (unsigned i = 0; read_segment(i, segment); i++) {
            if (segment.p_type != PT_LOAD || file_offset < segment.p_offset) continue;
            // A mapping is whole pages, so it shows a little more than the segment.
            const uint64_t size = (segment.p_filesz + kPageSize - 1) & ~(kPageSize - 1);
            if (file_offset - segment.p_offset >= size) continue;
            address = file_offset - segment.p_offset + segment.p_vaddr;
            return true;
        }
        return false;
    }

    bool find(Symbol& symbol) {
        return find_by_sections(SHT_SYMTAB, symbol) || find_by_sections(SHT_DYNSYM, symbol) ||
               find_by_dynamic_section(symbol);
    }

  private:
    struct Tables {
        uint64_t symbols = 0, strings = 0;  // file offsets
        uint64_t count = 0;
    };

    bool read_at(uint64_t offset, void* to, size_t size) {
        auto* bytes = static_cast<char*>(to);
        while (size) {
            auto frame = object_.page(offset / kPageSize, false);
            if (!frame) return false;
            const size_t start = offset % kPageSize;
            const size_t piece = std::min(size, kPageSize - start);
            memcpy(bytes, phys_to_virt<char>(frame.value()) + start, piece);
            put_frame(frame.value());
            bytes += piece;
            offset += piece;
            size -= piece;
        }
        return true;
    }

    bool read_segment(unsigned index, Elf64_Phdr& segment) {
        return index < header_.e_phnum &&
               read_at(header_.e_phoff + index * sizeof(segment), &segment, sizeof(segment));
    }

    bool read_section(unsigned index, Elf64_Shdr& section) {
        return index < header_.e_shnum && header_.e_shentsize == sizeof(section) &&
               read_at(header_.e_shoff + index * sizeof(section), &section, sizeof(section));
    }

    bool to_file_offset(uint64_t address, uint64_t& offset) {
        Elf64_Phdr segment;
        for (unsigned i = 0; read_segment(i, segment); i++) {
            if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
            if (address - segment.p_vaddr >= segment.p_filesz) continue;
            offset = address - segment.p_vaddr + segment.p_offset;
            return true;
        }
        return false;
    }

    bool find_by_sections(unsigned type, Symbol& symbol) {
        Elf64_Shdr section, strings;
        for (unsigned i = 0; read_section(i, section); i++) {
            if (section.sh_type != type || !read_section(section.sh_link, strings)) continue;
            const uint64_t count = section.sh_size / sizeof(Elf64_Sym);
            if (search({section.sh_offset, strings.sh_offset, count}, symbol)) return true;
        }
        return false;
    }

    // For files without section headers. Linkers put the strings behind the symbols, which tells
    // how many symbols there are.
    bool find_by_dynamic_section(Symbol& symbol) {
        constexpr uint64_t kMaxEntries = 256;
        Elf64_Phdr segment;
        for (unsigned i = 0; read_segment(i, segment); i++) {
            if (segment.p_type != PT_DYNAMIC) continue;
            Tables tables;
            Elf64_Dyn entry;
            const uint64_t entries = std::min(segment.p_filesz / sizeof(entry), kMaxEntries);
            for (uint64_t j = 0; j < entries; j++) {
                if (!read_at(segment.p_offset + j * sizeof(entry), &entry, sizeof(entry))) {
                    return false;
                }
                uint64_t* offset = nullptr;
                if (entry.d_tag == DT_SYMTAB) offset = &tables.symbols;
                if (entry.d_tag == DT_STRTAB) offset = &tables.strings;
                if (offset && !to_file_offset(entry.d_un.d_ptr, *offset)) return false;
            }
            if (tables.strings <= tables.symbols) return false;
            tables.count = (tables.strings - tables.symbols) / sizeof(Elf64_Sym);
            return search(tables, symbol);
        }
        return false;
    }

    // Takes the function that holds symbol.address.
    bool search(const Tables& tables, Symbol& symbol) {
        constexpr uint64_t kBatch = 64, kMaxSymbols = 1 << 20;
        const uint64_t count = std::min(tables.count, kMaxSymbols);
        Elf64_Sym batch[kBatch];
        for (uint64_t first = 0; first < count; first += kBatch) {
            const uint64_t in_batch = std::min(kBatch, count - first);
            if (!read_at(tables.symbols + first * sizeof(Elf64_Sym), batch,
                         in_batch * sizeof(Elf64_Sym))) {
                return false;
            }
            for (uint64_t i = 0; i < in_batch; i++) {
                if (!holds(batch[i], symbol.address)) continue;
                symbol.offset = symbol.address - batch[i].st_value;
                return read_name(tables.strings + batch[i].st_name, symbol);
            }
        }
        return false;
    }

    static bool holds(const Elf64_Sym& entry, uint64_t address) {
        const unsigned type = ELF64_ST_TYPE(entry.st_info);
        return (type == STT_FUNC || type == STT_GNU_IFUNC) && entry.st_shndx != SHN_UNDEF &&
               address >= entry.st_value &&
               address - entry.st_value < std::max<uint64_t>(entry.st_size, 1);
    }

    bool read_name(uint64_t offset, Symbol& symbol) {
        for (size_t length = 0; length + 1 < sizeof(symbol.name); length++) {
            if (!read_at(offset + length, &symbol.name[length], 1)) return false;
            if (!symbol.name[length]) break;
        }
        symbol.has_name = true;
        return true;
    }

    MemoryObject& object_;
    Elf64_Ehdr header_;
};

}  // namespace

bool find_symbol(MemoryObject& object, uint64_t file_offset, Symbol& symbol) {
    SymbolFile file(object);
    if (!file.read_header() || !file.to_virtual_address(file_offset, symbol.address)) return false;
    file.find(symbol);
    return true;
}

}  // namespace coracle
