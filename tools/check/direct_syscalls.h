// System calls that a binary makes by itself, without asking libc.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>

namespace coracle {

struct DirectSyscalls {
    std::set<uint32_t> numbers;
    // `syscall` instructions whose number is not a constant beside them.
    size_t unknown_sites = 0;
};

// Looks through x86-64 code. Only a `syscall` that decoding from the instructions before it reaches
// counts, so that the same two bytes inside another instruction do not.
void scan_code(std::span<const uint8_t> code, DirectSyscalls& found);

// Looks through the executable segments of an ELF file.
DirectSyscalls scan_file(const std::string& host_path);

}  // namespace coracle
