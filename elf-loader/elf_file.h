// The headers of an ELF file that is to be mapped: parsed from its first bytes, every field that
// mapping relies on checked (System V gABI chapters 4 and 5; x86-64 psABI). Pure: no memory of
// its own, no system calls; for the kernel and for the dynamic linker.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace coracle::elf {

// Why a file cannot be mapped. `field` is the name in <elf.h>, `segment` its program header's
// number, or -1 for the file header.
struct Problem {
    const char* message = nullptr;  // Null: none.
    const char* field = nullptr;
    int segment = -1;

    explicit operator bool() const { return message != nullptr; }
};

// The pages that a file's segments cover, at the addresses that the file gives them.
struct Extent {
    uint64_t start = 0;
    uint64_t end = 0;
    uint64_t size() const { return end - start; }
};

// Where user addresses end on x86-64 (47 bits, less the last page).
constexpr uint64_t kUserAddressEnd = 0x7ffffffff000;

class ElfFile {
  public:
    // head: the file's first bytes, which must hold the program headers too and stay as long as
    // this object; file_size: the whole file's size in bytes.
    Problem parse(const void* head, size_t head_size, uint64_t file_size);

    const Elf64_Ehdr& header() const { return *header_; }
    std::span<const Elf64_Phdr> segments() const { return segments_; }
    bool is_position_independent() const { return header_->e_type == ET_DYN; }

    // The first segment of a type, or null.
    const Elf64_Phdr* find_segment(uint32_t type) const;

    // page_size is a power of two. Empty if there is nothing to load.
    Extent extent(uint64_t page_size) const;

    // The greatest alignment that a loaded segment asks for, at least page_size.
    uint64_t alignment(uint64_t page_size) const;

    // Where the program headers are once the file is mapped, as the file counts addresses; 0 if
    // no segment holds them.
    uint64_t segment_table_address() const;

  private:
    Problem check_header(size_t head_size, uint64_t file_size) const;
    Problem check_segment(int index, uint64_t file_size) const;

    const Elf64_Ehdr* header_ = nullptr;
    std::span<const Elf64_Phdr> segments_;
};

}  // namespace coracle::elf
