// The kernel's own memory functions, under other names beside the host's.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>

#define memcpy kernel_memcpy
#define memmove kernel_memmove
#define memset kernel_memset
#define memcmp kernel_memcmp
#define memchr kernel_memchr
#define strlen kernel_strlen
#define strnlen kernel_strnlen
#define strcmp kernel_strcmp
#define strncmp kernel_strncmp
#define strchr kernel_strchr
#include "kernel-min/lib/string.cpp"
#undef memset
#undef memchr

namespace {

TEST(Memchr, FindsTheFirstOfEverySizeAndPlace) {
    for (size_t size = 0; size < 40; ++size) {
        // Exactly as large: the sanitizer sees a byte read too many.
        std::unique_ptr<unsigned char[]> bytes(new unsigned char[size]);
        for (int value : {0, 0x2f, 0x7f, 0x80, 0xff}) {
            // Neighbours of the value, whose borrows a careless word trick would mistake for it.
            for (int other : {value ^ 1, value ^ 0x80, (value - 1) & 0xff, (value + 1) & 0xff}) {
                memset(bytes.get(), other, size);
                EXPECT_EQ(kernel_memchr(bytes.get(), value, size), nullptr);
                for (size_t at = 0; at < size; ++at) {
                    bytes[at] = static_cast<unsigned char>(value);
                    if (at + 1 < size) bytes[size - 1] = static_cast<unsigned char>(value);
                    EXPECT_EQ(kernel_memchr(bytes.get(), value, size), bytes.get() + at);
                    memset(bytes.get(), other, size);
                }
            }
        }
    }
}

TEST(Memcmp, HasTheSignOfTheFirstDifference) {
    for (size_t size = 1; size < 40; ++size) {
        for (size_t at = 0; at < size; ++at) {
            unsigned char left[40] = {}, right[40] = {};
            right[at] = 0x80;
            if (at + 1 < size) left[at + 1] = 0xff;
            EXPECT_LT(kernel_memcmp(left, right, size), 0);
            EXPECT_GT(kernel_memcmp(right, left, size), 0);
            EXPECT_EQ(kernel_memcmp(left, right, at), 0);
        }
    }
}

}  // namespace
