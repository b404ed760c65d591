// Hashes and comparisons of short strings, such as names of files, a word at a time and inline: a
// loop over their bytes costs several times as much.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coracle {

template <typename Word>
inline Word load_word(const char* at) {
    Word word;
    __builtin_memcpy(&word, at, sizeof(word));
    return word;
}

// Both halves of a product, so that every bit of `word` reaches the low ones.
inline uint64_t mix_word(uint64_t word) {
    auto product = static_cast<unsigned __int128>(word) * 0x9e3779b97f4a7c15;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// All bytes count, by words that may overlap at the end. The low bits are as good as the others.
inline uint32_t hash_bytes(std::string_view text, uint64_t seed) {
    const char* at = text.data();
    const size_t size = text.size();
    uint64_t hash = seed ^ size, last = 0;
    if (size >= 8) {
        for (const char* end = at + size - 8; at < end; at += 8) {
            hash = mix_word(hash ^ load_word<uint64_t>(at));
        }
        last = load_word<uint64_t>(text.data() + size - 8);
    } else if (size >= 4) {
        last = load_word<uint32_t>(at) | uint64_t{load_word<uint32_t>(at + size - 4)} << 32;
    } else if (size > 0) {
        last = static_cast<uint8_t>(at[0]) | uint64_t{static_cast<uint8_t>(at[size / 2])} << 8 |
               uint64_t{static_cast<uint8_t>(at[size - 1])} << 16;
    }
    return static_cast<uint32_t>(mix_word(hash ^ last));
}

inline bool equal_bytes(std::string_view left, std::string_view right) {
    const size_t size = left.size();
    if (size != right.size()) return false;
    const char *a = left.data(), *b = right.data();
    if (size >= 8) {
        for (size_t i = 0; i + 8 < size; i += 8) {
            if (load_word<uint64_t>(a + i) != load_word<uint64_t>(b + i)) return false;
        }
        return load_word<uint64_t>(a + size - 8) == load_word<uint64_t>(b + size - 8);
    }
    if (size >= 4) {
        return load_word<uint32_t>(a) == load_word<uint32_t>(b) &&
               load_word<uint32_t>(a + size - 4) == load_word<uint32_t>(b + size - 4);
    }
    return size == 0 ||
           (a[0] == b[0] && a[size / 2] == b[size / 2] && a[size - 1] == b[size - 1]);
}

}  // namespace coracle
