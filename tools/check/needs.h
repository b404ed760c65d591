// What a program needs of Coracle, held against what Coracle has.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tools/image/closure.h"

namespace coracle {

struct MissingSymbol {
    std::string name, version, wanted_by;
};

struct SyscallNeed {
    uint32_t number;
    std::string name;   // "syscall_N" for a number that Linux 6.1 has not.
    std::string level;  // "full", "partial", or "none".
    std::set<std::string> made_by;
};

struct Needs {
    size_t symbols_needed = 0;  // Different (name, version) pairs that no other library defines.
    std::vector<MissingSymbol> missing_symbols;
    std::vector<SyscallNeed> syscalls;            // Made directly, by number.
    std::map<std::string, size_t> unknown_sites;  // Path -> sites without a constant number.
};

// number -> {name, level} of syscall-table's syscalls.json. Throws CommandError without it.
struct SyscallRow {
    std::string name, level;
};
std::map<uint32_t, SyscallRow> read_syscall_table(const std::string& path);

// Symbols that `closure` needs and neither it nor `image` defines. Weak ones may be missing.
void match_symbols(const Closure& closure, const ElfFile* image, Needs& needs);

// System calls in the code of `paths` (host paths).
void match_syscalls(const std::vector<std::string>& paths,
                    const std::map<uint32_t, SyscallRow>& table, Needs& needs);

}  // namespace coracle
