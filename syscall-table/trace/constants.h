// Names of numbers: flags, commands, signals and errors, spelled as strace spells them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coracle::trace {

class Line;

struct Constant {
    uint64_t value;
    const char* name;
};

struct ConstantTable {
    const Constant* constants;
    size_t count;
    const char* unknown;  // as strace names what is not in the table: "O_???"

    const char* find(uint64_t value) const;  // null if there is none
};

// `A|B|0x40`; bits are taken out in the order of the table. `0` without any.
void put_flags(Line& line, uint64_t value, const ConstantTable& table);
// The flags that follow others: `|A|B|0x40`; nothing for zero.
void put_more_flags(Line& line, uint64_t value, const ConstantTable& table);
// `NAME`, or `0x7 /* F_??? */`.
void put_one_of(Line& line, uint64_t value, const ConstantTable& table);

void put_signal(Line& line, int64_t signo);
// Without the SIG, as in sets.
void put_short_signal(Line& line, int signo);

struct ErrorName {
    const char* name;
    const char* text;
};
// Null for numbers that have none.
const ErrorName* find_error(int errno_code);

}  // namespace coracle::trace
