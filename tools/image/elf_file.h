// What the host program needs to know of an ELF file: how it is started, what it links with.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coracle {

struct ElfSymbol {
    std::string name;
    std::string version;  // Empty: none.
    std::string library;  // For an undefined symbol: the library its version is from.
    bool defined = false;
    bool weak = false;
    bool default_version = true;  // name@@version rather than name@version.
};

struct ElfFile {
    uint16_t machine = 0;     // EM_*
    uint16_t type = 0;        // ET_*
    uint8_t file_class = 0;   // ELFCLASS*
    uint64_t load_end = 0;    // The end of its segments in physical memory, for a kernel.
    std::string interpreter;  // PT_INTERP; empty: static, or a library.
    std::string soname;
    std::vector<std::string> needed;
    std::vector<std::string> rpath, runpath;   // Search folders as written, $ORIGIN and all.
    std::vector<std::string> needed_versions;  // All of .gnu.version_r, such as GLIBC_2.34.
    std::vector<ElfSymbol> symbols;            // The dynamic ones.

    bool is_x86_64() const;
    bool imports(const char* name) const;

    // Nothing when the file cannot be read or is not ELF; a damaged one gives what could be read.
    static std::optional<ElfFile> read(const std::string& host_path);
};

}  // namespace coracle
