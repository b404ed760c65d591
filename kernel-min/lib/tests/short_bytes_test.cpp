#include "kernel-min/lib/short_bytes.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace coracle {
namespace {

// A copy of exactly the text's size: the sanitizer sees a byte read too many.
struct Exact {
    explicit Exact(std::string_view text) : size(text.size()), bytes(new char[size]) {
        text.copy(bytes.get(), size);
    }
    operator std::string_view() const { return {bytes.get(), size}; }
    size_t size;
    std::unique_ptr<char[]> bytes;
};

std::string text_of(size_t size) {
    std::string text;
    for (size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i % 26);
    return text;
}

TEST(EqualBytes, EveryByteCounts) {
    for (size_t size = 0; size < 40; ++size) {
        std::string text = text_of(size);
        Exact left(text);
        EXPECT_TRUE(equal_bytes(left, Exact(text)));
        EXPECT_FALSE(equal_bytes(left, Exact(text + "x")));
        for (size_t i = 0; i < size; ++i) {
            std::string other = text;
            other[i] ^= 0x80;
            EXPECT_FALSE(equal_bytes(left, Exact(other))) << size << " " << i;
        }
    }
}

TEST(HashBytes, EveryByteAndTheSeedCount) {
    for (size_t size = 0; size < 40; ++size) {
        std::string text = text_of(size);
        uint32_t hash = hash_bytes(Exact(text), 7);
        EXPECT_EQ(hash, hash_bytes(Exact(text), 7));
        EXPECT_NE(hash, hash_bytes(Exact(text), 8));
        EXPECT_NE(hash, hash_bytes(Exact(text + "x"), 7));
        for (size_t i = 0; i < size; ++i) {
            std::string other = text;
            other[i] ^= 1;
            EXPECT_NE(hash, hash_bytes(Exact(other), 7)) << size << " " << i;
        }
    }
}

// As a table of 2,048 buckets sees it: chance alone leaves some 750 of them empty here.
TEST(HashBytes, SpreadsNumberedNamesOverBuckets) {
    for (const char* prefix : {"", "f", "file-", "a-name-that-is-long-"}) {
        std::set<uint32_t> buckets;
        for (int i = 0; i < 2048; ++i) {
            buckets.insert(hash_bytes(prefix + std::to_string(i), 0xffff888000123400) % 2048);
        }
        EXPECT_GT(buckets.size(), 1200u) << prefix;
    }
}

}  // namespace
}  // namespace coracle
