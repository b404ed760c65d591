// The memory and string functions that the compiler and freestanding headers expect.
#include <cstddef>
#include <cstdint>

// Not <cstring>: its C++ overloads of memchr and strchr are other functions than C's.
extern "C" {

// `rep` is quick on real processors from some hundred bytes on, and one instruction a word under
// emulation; short blocks, which are most, go by plain moves.
void* memcpy(void* to, const void* from, size_t size) {
    auto* target = static_cast<char*>(to);
    auto* source = static_cast<const char*>(from);
    if (size >= 128) {
        size_t words = size / 8;
        asm volatile("rep movsq" : "+D"(target), "+S"(source), "+c"(words)::"memory");
        size &= 7;
    }
    for (; size >= 8; size -= 8, target += 8, source += 8) {
        uint64_t word;
        __builtin_memcpy(&word, source, 8);
        __builtin_memcpy(target, &word, 8);
    }
    for (; size > 0; size--) *target++ = *source++;
    return to;
}

void* memmove(void* to, const void* from, size_t size) {
    auto* target = static_cast<char*>(to);
    auto* source = static_cast<const char*>(from);
    if (target <= source || target >= source + size) return memcpy(to, from, size);
    while (size > 0) {
        size--;
        target[size] = source[size];
    }
    return to;
}

void* memset(void* to, int value, size_t size) {
    auto* target = static_cast<char*>(to);
    uint64_t pattern = 0x0101010101010101u * static_cast<uint8_t>(value);
    if (size >= 128) {
        size_t words = size / 8;
        asm volatile("rep stosq" : "+D"(target), "+c"(words) : "a"(pattern) : "memory");
        size &= 7;
    }
    for (; size >= 8; size -= 8, target += 8) __builtin_memcpy(target, &pattern, 8);
    for (; size > 0; size--) *target++ = static_cast<char>(value);
    return to;
}

int memcmp(const void* left, const void* right, size_t size) {
    auto* a = static_cast<const uint8_t*>(left);
    auto* b = static_cast<const uint8_t*>(right);
    for (; size >= 8; size -= 8, a += 8, b += 8) {
        uint64_t x, y;
        __builtin_memcpy(&x, a, 8);
        __builtin_memcpy(&y, b, 8);
        if (x != y) break;
    }
    for (; size > 0; size--, a++, b++) {
        if (*a != *b) return *a - *b;
    }
    return 0;
}

void* memchr(const void* block, int value, size_t size) {
    constexpr uint64_t kOnes = 0x0101010101010101, kTops = kOnes << 7;
    auto* bytes = static_cast<const uint8_t*>(block);
    const uint64_t pattern = kOnes * static_cast<uint8_t>(value);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word;
        __builtin_memcpy(&word, bytes, 8);
        word ^= pattern;
        // The lowest of these bits belongs to the first byte that is zero now.
        const uint64_t found = (word - kOnes) & ~word & kTops;
        if (found) return const_cast<uint8_t*>(bytes + __builtin_ctzll(found) / 8);
    }
    for (; size > 0; size--, bytes++) {
        if (*bytes == static_cast<uint8_t>(value)) return const_cast<uint8_t*>(bytes);
    }
    return nullptr;
}

size_t strlen(const char* text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

size_t strnlen(const char* text, size_t limit) {
    size_t length = 0;
    while (length < limit && text[length]) length++;
    return length;
}

int strcmp(const char* left, const char* right) {
    while (*left && *left == *right) left++, right++;
    return static_cast<uint8_t>(*left) - static_cast<uint8_t>(*right);
}

int strncmp(const char* left, const char* right, size_t limit) {
    for (; limit > 0; limit--, left++, right++) {
        if (*left != *right) return static_cast<uint8_t>(*left) - static_cast<uint8_t>(*right);
        if (!*left) break;
    }
    return 0;
}

char* strchr(const char* text, int value) {
    for (;; text++) {
        if (*text == static_cast<char>(value)) return const_cast<char*>(text);
        if (!*text) return nullptr;
    }
}
}
