#include "libposix/libc/patcher/elf_image.h"

#include <fstream>
#include <iterator>

namespace coracle::patcher {
namespace {

std::vector<uint8_t> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error(path + ": cannot be opened");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

template <typename T>
std::vector<T> read_table(const std::vector<uint8_t>& bytes, uint64_t offset, uint64_t count,
                          const std::string& path) {
    if (offset > bytes.size() || count > (bytes.size() - offset) / sizeof(T))
        throw Error(path + ": a table lies outside the file");
    std::vector<T> table(count);
    if (count > 0) std::memcpy(table.data(), bytes.data() + offset, count * sizeof(T));
    return table;
}

}  // namespace

ElfImage::ElfImage(const std::string& path) : path_(path), bytes_(read_file(path)) {
    if (bytes_.size() < sizeof(Elf64_Ehdr) || std::memcmp(bytes_.data(), ELFMAG, SELFMAG) != 0 ||
        header().e_ident[EI_CLASS] != ELFCLASS64 || header().e_machine != EM_X86_64)
        throw Error(path + ": not an x86-64 ELF file");
    segments_ = read_table<Elf64_Phdr>(bytes_, header().e_phoff, header().e_phnum, path);
    sections_ = read_table<Elf64_Shdr>(bytes_, header().e_shoff, header().e_shnum, path);
}

std::string_view ElfImage::section_name(const Elf64_Shdr& section) const {
    return string_at(sections_.at(header().e_shstrndx).sh_offset + section.sh_name);
}

const Elf64_Shdr* ElfImage::find_section(std::string_view name) const {
    for (const Elf64_Shdr& section : sections_)
        if (section_name(section) == name) return &section;
    return nullptr;
}

std::vector<Symbol> ElfImage::read_symbols(const char* name) const {
    const Elf64_Shdr* section = find_section(name);
    if (section == nullptr) throw Error(path_ + ": has no " + name);
    const uint64_t count = section->sh_size / sizeof(Elf64_Sym);
    const auto table = read_table<Elf64_Sym>(bytes_, section->sh_offset, count, path_);
    const Elf64_Shdr* version_section =
        std::string_view(name) == ".dynsym" ? find_section(".gnu.version") : nullptr;
    std::vector<uint16_t> versions;
    if (version_section != nullptr)
        versions = read_table<uint16_t>(bytes_, version_section->sh_offset, count, path_);
    const uint64_t strings = sections_.at(section->sh_link).sh_offset;
    std::vector<Symbol> symbols;
    symbols.reserve(count);
    for (uint64_t i = 0; i < count; ++i) {
        const Elf64_Sym& entry = table[i];
        symbols.push_back({std::string(string_at(strings + entry.st_name)), entry.st_value,
                           entry.st_size, static_cast<uint8_t>(ELF64_ST_TYPE(entry.st_info)),
                           static_cast<uint8_t>(ELF64_ST_BIND(entry.st_info)), entry.st_shndx,
                           versions.empty() ? uint16_t{0} : versions[i]});
    }
    return symbols;
}

std::vector<Relocation> ElfImage::read_relocations(const Elf64_Shdr& section) const {
    const auto table = read_table<Elf64_Rela>(bytes_, section.sh_offset,
                                              section.sh_size / sizeof(Elf64_Rela), path_);
    std::vector<Relocation> relocations;
    relocations.reserve(table.size());
    for (const Elf64_Rela& entry : table)
        relocations.push_back({entry.r_offset, static_cast<uint32_t>(ELF64_R_TYPE(entry.r_info)),
                               static_cast<uint32_t>(ELF64_R_SYM(entry.r_info)), entry.r_addend});
    return relocations;
}

uint8_t* ElfImage::at(uint64_t address, uint64_t size) {
    for (const Elf64_Phdr& segment : segments_) {
        if (segment.p_type != PT_LOAD || address < segment.p_vaddr) continue;
        const uint64_t offset = address - segment.p_vaddr;
        if (offset + size <= segment.p_filesz) return bytes_.data() + segment.p_offset + offset;
    }
    throw Error(path_ + ": no bytes at address " + std::to_string(address));
}

bool ElfImage::has_bytes_at(uint64_t address) const {
    for (const Elf64_Phdr& segment : segments_)
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address < segment.p_vaddr + segment.p_filesz)
            return true;
    return false;
}

}  // namespace coracle::patcher
