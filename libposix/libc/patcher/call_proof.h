// Which system calls may be made as C function calls (ProcessPage::call_entries): those after
// which no register is used that the instruction would have kept and a C function does not, or
// only such that can be saved around the call.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "libposix/libc/patcher/code_map.h"

namespace coracle::patcher {

// The object files' parts of the code, from the linker's map file (ld -Map).
class ObjectRanges {
  public:
    explicit ObjectRanges(const std::string& map_path);
    // The start of the object's code around the address, or nothing if it is not known.
    std::optional<uint64_t> find(uint64_t address) const;

  private:
    std::map<uint64_t, uint64_t> ends_;
};

// The arguments' registers of system calls, a bit for each, in their order.
using Registers = uint32_t;
constexpr Registers kRdi = 1, kRsi = 2, kRdx = 4, kR10 = 8, kR8 = 16, kR9 = 32;

// A function outside of the object file that code calls after a system call, and the registers in
// which it has arguments.
struct KnownCallee {
    uint64_t address;
    Registers arguments;
};

class CallProof {
  public:
    CallProof(const CodeMap& code, const ObjectRanges& objects, std::vector<KnownCallee> callees);

    // Which of the arguments' registers are read after the `syscall` instruction with this index
    // before they are overwritten: on no path may the others or a vector register be. Callers must
    // expect them to be lost, but for those in the same object file, which the compiler lets know
    // better (-fipa-ra): paths lead on there. Nothing: no proof.
    std::optional<Registers> used_registers(size_t site) const;

    // The call's number, if the instructions before it set it in a straight line.
    std::optional<uint32_t> number(size_t site) const;

    // False if the function around the site never sets the fourth argument's register.
    bool may_have_fourth_argument(size_t site) const;

  private:
    // Where a path has come to.
    struct Path {
        uint64_t address;
        Registers live;  // Not overwritten, not used.
    };
    // What one instruction does to a path.
    struct Step {
        Registers used = 0;
        std::vector<Path> next;
    };
    std::optional<Step> follow(const Path& path) const;
    std::optional<Step> leave(std::optional<uint64_t> callee, const Symbol& function,
                              Step step, Registers live) const;
    std::optional<Step> go_back(const Symbol& function, Step step, Registers live,
                                unsigned depth = 0) const;

    struct Branch {
        uint64_t from, to;
    };
    const CodeMap& code_;
    const ObjectRanges& objects_;
    std::vector<KnownCallee> callees_;
    std::vector<Branch> branches_;  // Sorted by target.
};

}  // namespace coracle::patcher
