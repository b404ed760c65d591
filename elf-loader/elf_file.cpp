#include "elf-loader/elf_file.h"

namespace coracle::elf {
namespace {

bool is_power_of_two(uint64_t value) {
    return value != 0 && (value & (value - 1)) == 0;
}

// True if base + size does not wrap and stays within limit.
bool fits(uint64_t base, uint64_t size, uint64_t limit) {
    return size <= limit && base <= limit - size;
}

}  // namespace

Problem ElfFile::check_header(size_t head_size, uint64_t file_size) const {
    const Elf64_Ehdr& h = *header_;
    if (h.e_ident[EI_MAG0] != ELFMAG0 || h.e_ident[EI_MAG1] != ELFMAG1 ||
        h.e_ident[EI_MAG2] != ELFMAG2 || h.e_ident[EI_MAG3] != ELFMAG3)
        return {"invalid ELF header", "e_ident[EI_MAG0]"};
    if (h.e_ident[EI_CLASS] == ELFCLASS32)
        return {"wrong ELF class: ELFCLASS32", "e_ident[EI_CLASS]"};
    if (h.e_ident[EI_CLASS] != ELFCLASS64) return {"unknown ELF class", "e_ident[EI_CLASS]"};
    if (h.e_ident[EI_DATA] != ELFDATA2LSB)
        return {"ELF file data encoding not little-endian", "e_ident[EI_DATA]"};
    if (h.e_ident[EI_VERSION] != EV_CURRENT)
        return {"ELF file version ident does not match current one", "e_ident[EI_VERSION]"};
    if (h.e_ident[EI_OSABI] != ELFOSABI_SYSV && h.e_ident[EI_OSABI] != ELFOSABI_GNU)
        return {"ELF file OS ABI invalid", "e_ident[EI_OSABI]"};
    if (h.e_machine != EM_X86_64) return {"ELF file is not for x86-64", "e_machine"};
    if (h.e_version != EV_CURRENT)
        return {"ELF file version does not match current one", "e_version"};
    if (h.e_type != ET_EXEC && h.e_type != ET_DYN)
        return {"only ET_DYN and ET_EXEC can be loaded", "e_type"};
    if (h.e_phentsize != sizeof(Elf64_Phdr))
        return {"ELF file's phentsize not the expected size", "e_phentsize"};
    if (h.e_phnum == 0) return {"object file has no loadable segments", "e_phnum"};
    if (h.e_phoff % alignof(Elf64_Phdr) != 0) return {"program headers are not aligned", "e_phoff"};
    const uint64_t table_size = uint64_t{h.e_phnum} * sizeof(Elf64_Phdr);
    if (!fits(h.e_phoff, table_size, file_size))
        return {"program headers lie outside the file", "e_phoff"};
    if (!fits(h.e_phoff, table_size, head_size))
        return {"program headers are too far from the start of the file", "e_phoff"};
    return {};
}

Problem ElfFile::check_segment(int index, uint64_t file_size) const {
    const Elf64_Phdr& s = segments_[static_cast<size_t>(index)];
    if (s.p_type != PT_LOAD && s.p_type != PT_INTERP && s.p_type != PT_TLS &&
        s.p_type != PT_DYNAMIC)
        return {};
    if (!fits(s.p_offset, s.p_filesz, file_size))
        return {"segment lies outside the file", "p_filesz", index};
    if (s.p_type == PT_INTERP) {
        if (s.p_filesz < 2 || s.p_filesz > 4096)
            return {"interpreter name has no valid length", "p_filesz", index};
        return {};
    }
    if (s.p_filesz > s.p_memsz) return {"segment is smaller than its data", "p_memsz", index};
    if (!fits(s.p_vaddr, s.p_memsz, kUserAddressEnd))
        return {"segment lies outside user addresses", "p_vaddr", index};
    if (s.p_align > 1 && !is_power_of_two(s.p_align))
        return {"ELF load command alignment not a power of two", "p_align", index};
    if (s.p_type == PT_LOAD && ((s.p_vaddr - s.p_offset) & 4095) != 0)
        return {"ELF load command address/offset not page-aligned", "p_offset", index};
    return {};
}

Problem ElfFile::parse(const void* head, size_t head_size, uint64_t file_size) {
    if (head_size < sizeof(Elf64_Ehdr)) return {"file too short", "e_ident"};
    header_ = static_cast<const Elf64_Ehdr*>(head);
    segments_ = {};
    if (const Problem problem = check_header(head_size, file_size)) return problem;
    const auto* table =
        reinterpret_cast<const Elf64_Phdr*>(static_cast<const char*>(head) + header_->e_phoff);
    segments_ = {table, header_->e_phnum};

    uint64_t last_address = 0;
    bool loads = false;
    for (int i = 0; i < header_->e_phnum; ++i) {
        if (const Problem problem = check_segment(i, file_size)) return problem;
        if (table[i].p_type != PT_LOAD) continue;
        if (loads && table[i].p_vaddr < last_address)
            return {"segments overlap or are not in ascending order", "p_vaddr", i};
        last_address = table[i].p_vaddr + table[i].p_memsz;
        loads = true;
    }
    if (!loads) return {"object file has no loadable segments", "p_type"};
    return {};
}

const Elf64_Phdr* ElfFile::find_segment(uint32_t type) const {
    for (const Elf64_Phdr& segment : segments_)
        if (segment.p_type == type) return &segment;
    return nullptr;
}

Extent ElfFile::extent(uint64_t page_size) const {
    Extent extent;
    bool first = true;
    for (const Elf64_Phdr& segment : segments_) {
        if (segment.p_type != PT_LOAD) continue;
        if (first) extent.start = segment.p_vaddr & ~(page_size - 1);
        first = false;
        extent.end = (segment.p_vaddr + segment.p_memsz + page_size - 1) & ~(page_size - 1);
    }
    return extent;
}

uint64_t ElfFile::alignment(uint64_t page_size) const {
    uint64_t alignment = page_size;
    for (const Elf64_Phdr& segment : segments_)
        if (segment.p_type == PT_LOAD && segment.p_align > alignment) alignment = segment.p_align;
    return alignment;
}

uint64_t ElfFile::segment_table_address() const {
    if (const Elf64_Phdr* self = find_segment(PT_PHDR)) return self->p_vaddr;
    const uint64_t size = uint64_t{header_->e_phnum} * sizeof(Elf64_Phdr);
    for (const Elf64_Phdr& segment : segments_)
        if (segment.p_type == PT_LOAD && segment.p_offset <= header_->e_phoff &&
            fits(header_->e_phoff - segment.p_offset, size, segment.p_filesz))
            return header_->e_phoff - segment.p_offset + segment.p_vaddr;
    return 0;
}

}  // namespace coracle::elf
