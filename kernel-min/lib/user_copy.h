// Copies between the kernel and application memory. Each routine checks that the range lies in
// the lower half and survives faults: it returns false when a byte could not be reached (the
// caller answers EFAULT), after a partial copy. Pages that are not yet present are faulted in, so
// a copy may sleep: call with no lock that a page fault takes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coracle {

// End of the application's half. Linux's TASK_SIZE: the last page below 2^47 is never mapped.
constexpr uint64_t kUserEnd = 0x7ffffffff000;

constexpr bool is_user_range(uint64_t address, uint64_t size) {
    return size <= kUserEnd && address <= kUserEnd - size;
}

[[nodiscard]] bool copy_from_user(void* to, uint64_t from, size_t size);
[[nodiscard]] bool copy_to_user(uint64_t to, const void* from, size_t size);
[[nodiscard]] bool clear_user(uint64_t to, size_t size);

// How many bytes at the start of the range could be copied. For calls that answer a short count.
size_t copy_from_user_partial(void* to, uint64_t from, size_t size);
size_t copy_to_user_partial(uint64_t to, const void* from, size_t size);
size_t clear_user_partial(uint64_t to, size_t size);

// The loop of clear_user alone: returns how many bytes it could not reach. Precondition:
// is_user_range.
extern "C" size_t clear_user_raw(void* to, size_t size);

// Copies a string with its NUL into `to`. Returns its length without the NUL; -EFAULT; or
// -ENAMETOOLONG if there is no NUL in the first `size` bytes.
long copy_string_from_user(char* to, uint64_t from, size_t size);

// Reads an aligned word at once. False: it could not be reached.
[[nodiscard]] bool read_user_word(uint64_t word, uint32_t* value);

// Replaces an aligned word by `desired` if it holds *expected, atomically; *expected becomes what
// it held. False: the word could not be reached.
[[nodiscard]] bool compare_exchange_user(uint64_t word, uint32_t* expected, uint32_t desired);

}  // namespace coracle
