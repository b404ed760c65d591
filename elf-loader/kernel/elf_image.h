// Reads the headers of an ELF program or interpreter for execve(2). Pure: the file is reached
// through a function, so host tests and the fuzzer run the same code. Every field is checked
// before it is used. Source: the ELF gABI, chapters 4 and 5, and the x86-64 psABI.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernel-min/lib/result.h"

namespace coracle {

class ElfImage {
  public:
    // Reads up to `size` bytes at `offset` into `to`; returns how many there were.
    using ReadAt = Result<size_t> (*)(void* file, void* to, size_t size, uint64_t offset);

    // ENOEXEC for a file that is not a well-formed x86-64 program (ET_EXEC or ET_DYN); ELIBBAD
    // is the caller's choice for interpreters. Errors of `read_at` are handed on.
    static Result<ElfImage> parse(ReadAt read_at, void* file);

    struct Segment {
        uint64_t file_offset, file_size, address, memory_size;
        bool readable, writable, executable;
    };

    bool is_position_independent() const { return header_.e_type == ET_DYN; }
    uint64_t entry() const { return header_.e_entry; }
    // Loadable segments in ascending order of address, page-congruent, below the end of the
    // application's half, not empty in memory.
    size_t segment_count() const { return segment_count_; }
    const Segment& segment(size_t index) const { return segments_[index]; }
    // The page-aligned range that the segments cover, as linked.
    uint64_t low() const { return low_; }
    uint64_t high() const { return high_; }
    // The largest p_align of a segment, a power of two, at least a page.
    uint64_t alignment() const { return alignment_; }

    uint16_t program_header_count() const { return header_.e_phnum; }
    // The address, as linked, of the program headers in memory; 0 if no segment holds them.
    uint64_t program_headers_address() const { return program_headers_address_; }

    // Null if there is no PT_INTERP.
    const char* interpreter() const { return interpreter_.get(); }
    // PT_GNU_STACK: without one, Linux gives old programs an executable stack.
    bool has_executable_stack() const { return executable_stack_; }

  private:
    Result<void> read_segments(const Elf64_Phdr* headers);
    Result<void> read_interpreter(const Elf64_Phdr& header, ReadAt read_at, void* file);

    Elf64_Ehdr header_ = {};
    std::unique_ptr<Segment[]> segments_;
    size_t segment_count_ = 0;
    uint64_t low_ = 0, high_ = 0, alignment_ = 0, program_headers_address_ = 0;
    std::unique_ptr<char[]> interpreter_;
    bool executable_stack_ = true;
};

}  // namespace coracle
