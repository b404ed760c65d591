// A 64-bit little-endian ELF file in memory, addressed by virtual address. Made for files that the
// build itself made: what is wrong with one ends the tool with a message (Error).
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace coracle::patcher {

struct Error : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Symbol {
    std::string name;
    uint64_t value;
    uint64_t size;
    uint8_t type;     // STT_*
    uint8_t binding;  // STB_*
    uint16_t section;
    uint16_t version;  // Versym entry, for .dynsym only.
};

// A relocation that the linker kept (--emit-relocs), or one of .rela.dyn or .rela.plt.
struct Relocation {
    uint64_t place;
    uint32_t type;
    uint32_t symbol;  // Index in the symbol table.
    int64_t addend;
};

class ElfImage {
  public:
    explicit ElfImage(const std::string& path);

    const std::string& path() const { return path_; }
    const Elf64_Ehdr& header() const { return *reinterpret_cast<const Elf64_Ehdr*>(bytes_.data()); }
    const std::vector<Elf64_Phdr>& segments() const { return segments_; }
    const std::vector<Elf64_Shdr>& sections() const { return sections_; }
    const Elf64_Shdr* find_section(std::string_view name) const;
    std::string_view section_name(const Elf64_Shdr& section) const;

    // The entries of .symtab or .dynsym, index by index.
    std::vector<Symbol> read_symbols(const char* section) const;
    std::vector<Relocation> read_relocations(const Elf64_Shdr& section) const;

    // Bytes of a loaded segment's file part; Error if there are none.
    uint8_t* at(uint64_t address, uint64_t size);
    const uint8_t* at(uint64_t address, uint64_t size) const {
        return const_cast<ElfImage*>(this)->at(address, size);
    }
    bool has_bytes_at(uint64_t address) const;
    template <typename T>
    T read(uint64_t address) const {
        T value;
        std::memcpy(&value, at(address, sizeof(T)), sizeof(T));
        return value;
    }
    template <typename T>
    void write(uint64_t address, T value) {
        std::memcpy(at(address, sizeof(T)), &value, sizeof(T));
    }

    // The bytes of the file as such.
    const std::vector<uint8_t>& bytes() const { return bytes_; }
    std::string_view string_at(uint64_t file_offset) const {
        return reinterpret_cast<const char*>(bytes_.data() + file_offset);
    }

  private:
    std::string path_;
    std::vector<uint8_t> bytes_;
    std::vector<Elf64_Phdr> segments_;
    std::vector<Elf64_Shdr> sections_;
};

}  // namespace coracle::patcher
