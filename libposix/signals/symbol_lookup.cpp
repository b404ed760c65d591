#include "libposix/signals/symbol_lookup.h"

#include <elf.h>

#include <algorithm>
#include <cstring>

namespace coracle {
namespace {

// Copies bytes of the file out of its page cache.
bool read_at(MemoryObject& file, uint64_t offset, void* to, size_t size) {
    auto* bytes = static_cast<char*>(to);
    while (size) {
        auto frame = file.page(offset / kPageSize, false);
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

bool read_header(MemoryObject& file, Elf64_Ehdr& header) {
    return read_at(file, 0, &header, sizeof(header)) &&
           memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 &&
           header.e_ident[EI_CLASS] == ELFCLASS64 && header.e_phentsize == sizeof(Elf64_Phdr);
}

bool to_virtual_address(MemoryObject& file, const Elf64_Ehdr& header, uint64_t file_offset,
                        uint64_t& address) {
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        const uint64_t at = header.e_phoff + i * sizeof(segment);
        if (!read_at(file, at, &segment, sizeof(segment))) return false;
        if (segment.p_type != PT_LOAD || file_offset < segment.p_offset) continue;
        // A mapping is whole pages, so it shows a little more than the segment.
        const uint64_t size = (segment.p_filesz + kPageSize - 1) & ~(kPageSize - 1);
        if (file_offset - segment.p_offset >= size) continue;
        address = file_offset - segment.p_offset + segment.p_vaddr;
        return true;
    }
    return false;
}

// Takes the function that holds symbol.address from one symbol table.
bool search_table(MemoryObject& file, const Elf64_Ehdr& header, const Elf64_Shdr& table,
                  Symbol& symbol) {
    constexpr size_t kBatch = 64, kMaxSymbols = 1 << 20;
    const size_t count = std::min<size_t>(table.sh_size / sizeof(Elf64_Sym), kMaxSymbols);
    Elf64_Sym batch[kBatch];
    for (size_t first = 0; first < count; first += kBatch) {
        const size_t in_batch = std::min(kBatch, count - first);
        const uint64_t at = table.sh_offset + first * sizeof(Elf64_Sym);
        if (!read_at(file, at, batch, in_batch * sizeof(Elf64_Sym))) return false;
        for (size_t i = 0; i < in_batch; i++) {
            const Elf64_Sym& entry = batch[i];
            const unsigned type = ELF64_ST_TYPE(entry.st_info);
            if (type != STT_FUNC && type != STT_GNU_IFUNC) continue;
            if (entry.st_shndx == SHN_UNDEF || symbol.address < entry.st_value) continue;
            if (symbol.address - entry.st_value >= std::max<uint64_t>(entry.st_size, 1)) continue;

            Elf64_Shdr strings;
            const uint64_t section = header.e_shoff + table.sh_link * sizeof(strings);
            if (!read_at(file, section, &strings, sizeof(strings))) return false;
            const uint64_t name = strings.sh_offset + entry.st_name;
            for (size_t length = 0; length + 1 < sizeof(symbol.name); length++) {
                if (!read_at(file, name + length, &symbol.name[length], 1)) return false;
                if (!symbol.name[length]) break;
            }
            symbol.offset = symbol.address - entry.st_value;
            symbol.has_name = true;
            return true;
        }
    }
    return false;
}

}  // namespace

bool find_symbol(MemoryObject& file, uint64_t file_offset, Symbol& symbol) {
    Elf64_Ehdr header;
    if (!read_header(file, header)) return false;
    if (!to_virtual_address(file, header, file_offset, symbol.address)) return false;
    if (header.e_shentsize != sizeof(Elf64_Shdr)) return true;
    for (unsigned wanted : {SHT_SYMTAB, SHT_DYNSYM}) {
        for (unsigned i = 0; i < header.e_shnum; i++) {
            Elf64_Shdr section;
            const uint64_t at = header.e_shoff + i * sizeof(section);
            if (!read_at(file, at, &section, sizeof(section))) return true;
            if (section.sh_type == wanted && search_table(file, header, section, symbol)) {
                return true;
            }
        }
    }
    return true;
}

}  // namespace coracle
