// Copies between the kernel and application memory. Each routine checks that the range lies in
// the lower half and survives faults: it returns false when a byte could not be reached (the
// caller answers EFAULT), after a partial copy. Pages that are not yet present are faulted in, so
// a copy may sleep: call with no lock that a page fault takes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/lib/user_word.h"

namespace coracle {

// End of the application's half. Linux's TASK_SIZE: the last page below 2^47 is never mapped.
constexpr uint64_t kUserEnd = 0x7ffffffff000;

constexpr bool is_user_range(uint64_t address, uint64_t size) {
    return size <= kUserEnd && address <= kUserEnd - size;
}

// How many bytes at the start of the range could be copied. For calls that answer a short count.
size_t copy_from_user_partial(void* to, uint64_t from, size_t size);
size_t copy_to_user_partial(uint64_t to, const void* from, size_t size);
size_t clear_user_partial(uint64_t to, size_t size);

[[nodiscard]] bool clear_user(uint64_t to, size_t size);

template <typename Word>
[[nodiscard, gnu::always_inline]] inline bool copy_word_from_user(void* to, uint64_t from) {
    Word word;
    if (!is_user_range(from, sizeof(word)) || !load_user_word(from, word)) return false;
    __builtin_memcpy(to, &word, sizeof(word));
    return true;
}
template <typename Word>
[[nodiscard, gnu::always_inline]] inline bool copy_word_to_user(uint64_t to, const void* from) {
    Word word;
    __builtin_memcpy(&word, from, sizeof(word));
    return is_user_range(to, sizeof(word)) && store_user_word(to, word);
}

// Words cost one instruction each where the size is a constant.
[[nodiscard, gnu::always_inline]] inline bool copy_from_user(void* to, uint64_t from,
                                                             size_t size) {
    if (__builtin_constant_p(size)) {
        if (size == sizeof(uint64_t)) return copy_word_from_user<uint64_t>(to, from);
        if (size == sizeof(uint32_t)) return copy_word_from_user<uint32_t>(to, from);
    }
    return copy_from_user_partial(to, from, size) == size;
}
[[nodiscard, gnu::always_inline]] inline bool copy_to_user(uint64_t to, const void* from,
                                                           size_t size) {
    if (__builtin_constant_p(size)) {
        if (size == sizeof(uint64_t)) return copy_word_to_user<uint64_t>(to, from);
        if (size == sizeof(uint32_t)) return copy_word_to_user<uint32_t>(to, from);
    }
    return copy_to_user_partial(to, from, size) == size;
}

// The loops alone: they return how many bytes they could not reach. Precondition: is_user_range.
extern "C" size_t copy_user_raw(void* to, const void* from, size_t size);
extern "C" size_t clear_user_raw(void* to, size_t size);

// Copies a string with its NUL into `to`. Returns its length without the NUL; -EFAULT; or
// -ENAMETOOLONG if there is no NUL in the first `size` bytes.
long copy_string_from_user(char* to, uint64_t from, size_t size);

// Reads an aligned word at once. False: it could not be reached.
[[nodiscard]] inline bool read_user_word(uint64_t word, uint32_t* value) {
    return is_user_range(word, sizeof(uint32_t)) && load_user_word(word, *value);
}

// Replaces an aligned word by `desired` if it holds *expected, atomically; *expected becomes what
// it held. False: the word could not be reached.
[[nodiscard]] bool compare_exchange_user(uint64_t word, uint32_t* expected, uint32_t desired);

}  // namespace coracle
