// Loads and stores of one word of the application's, inline: one instruction with a fix-up
// (memory/fixups.h). False: it could not be reached. A page may have to be read, so these sleep as
// all user copies do. Precondition: the word lies in the lower half.
#pragma once

#include <cstdint>

namespace coracle {

template <typename Word>
[[nodiscard, gnu::always_inline]] inline bool store_user_word(uint64_t to, Word value) {
    asm goto("1: mov %0, (%1)\n"
             ".pushsection .fixups, \"a\"\n.long 1b - ., %l[fault] - .\n.popsection"
             : : "r"(value), "r"(to) : "memory" : fault);
    return true;
fault:
    return false;
}

template <typename Word>
[[nodiscard, gnu::always_inline]] inline bool load_user_word(uint64_t from, Word& value) {
    Word loaded;
    asm goto("1: mov (%1), %0\n"
             ".pushsection .fixups, \"a\"\n.long 1b - ., %l[fault] - .\n.popsection"
             : "=r"(loaded) : "r"(from) : "memory" : fault);
    value = loaded;
    return true;
fault:
    return false;
}

}  // namespace coracle
