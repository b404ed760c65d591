// Which system calls may be made as C function calls (ProcessPage::call_entries): those after
// which no register is used that the instruction would have kept and a C function does not.
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

class CallProof {
  public:
    CallProof(const CodeMap& code, const ObjectRanges& objects, uint64_t abort_function);

    // True if the registers of the arguments are dead after the `syscall` instruction with this
    // index: on every path they are overwritten before they are read, or the function returns to
    // callers that must expect them to be lost. The compiler lets callers in the same object file
    // know better (-fipa-ra): a function that has such is not proved.
    bool registers_are_dead(size_t site) const;

    // The call's number, if the instructions before it set it in a straight line.
    std::optional<uint32_t> number(size_t site) const;

    // False if the function around the site never sets the fourth argument's register.
    bool may_have_fourth_argument(size_t site) const;

  private:
    using Registers = uint32_t;  // A bit for each of the arguments' registers.
    enum class Step { kContinues, kEnds, kFails };
    Step follow(const DecodedInstruction& decoded, const Symbol& function, Registers& live,
                uint64_t next, std::optional<uint64_t>& target) const;
    bool has_callers_in_object(const Symbol& function) const;

    struct Branch {
        uint64_t from, to;
    };
    const CodeMap& code_;
    const ObjectRanges& objects_;
    uint64_t abort_function_;
    std::vector<Branch> branches_;  // Sorted by target.
};

}  // namespace coracle::patcher
