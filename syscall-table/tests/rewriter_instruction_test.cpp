// The rewriter's decoder against Zydis.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "syscall-table/rewriter/instruction.h"

namespace coracle::rewriter {
namespace {

class Oracle {
  public:
    Oracle() { ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64); }
    // 0: no instruction.
    size_t length(const uint8_t* bytes, size_t size) const {
        ZydisDecodedInstruction instruction;
        if (!ZYAN_SUCCESS(
                ZydisDecoderDecodeInstruction(&decoder_, nullptr, bytes, size, &instruction))) {
            return 0;
        }
        // Of Knights Corner, in encodings that no other processor has.
        if (instruction.mnemonic == ZYDIS_MNEMONIC_JKZD ||
            instruction.mnemonic == ZYDIS_MNEMONIC_JKNZD) {
            return 0;
        }
        return instruction.length;
    }

  private:
    ZydisDecoder decoder_;
};

std::string hex(const uint8_t* bytes) {
    std::string text;
    char two[4];
    for (size_t i = 0; i < kMaxInstructionLength; ++i) {
        std::snprintf(two, sizeof(two), "%02x ", bytes[i]);
        text += two;
    }
    return text;
}

TEST(RewriterInstruction, LengthsOfRandomBytes) {
    const Oracle oracle;
    std::mt19937 random(1);
    size_t valid = 0;
    for (int i = 0; i < 400'000; ++i) {
        uint8_t bytes[kMaxInstructionLength];
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
        static constexpr uint8_t kStarts[] = {0x0f, 0xc4, 0xc5, 0x62, 0x48, 0x66, 0x8f, 0x67};
        if (i % 2) bytes[0] = kStarts[i / 2 % sizeof(kStarts)];
        const size_t expected = oracle.length(bytes, sizeof(bytes));
        if (expected == 0) continue;
        ++valid;
        ASSERT_EQ(decode_instruction(bytes).length, expected) << hex(bytes);
    }
    EXPECT_GT(valid, 200'000u);
}

// From each byte of real code, whether an instruction starts there or not.
TEST(RewriterInstruction, LengthsInTheCLibrary) {
    const Oracle oracle;
    std::ifstream file("/lib/x86_64-linux-gnu/libc.so.6", std::ios::binary);
    const std::vector<uint8_t> code{std::istreambuf_iterator<char>(file), {}};
    ASSERT_GT(code.size(), 1'000'000u);
    for (size_t at = 0x30000; at < 0x90000; ++at) {
        const size_t expected = oracle.length(&code[at], kMaxInstructionLength);
        if (expected == 0) continue;
        ASSERT_EQ(decode_instruction({&code[at], kMaxInstructionLength}).length, expected)
            << hex(&code[at]);
    }
}

TEST(RewriterInstruction, NothingThatTheBytesDoNotHold) {
    const uint8_t mov[] = {0xb8, 1, 0, 0, 0};
    EXPECT_EQ(decode_instruction(mov).length, 5);
    EXPECT_EQ(decode_instruction(std::span(mov).first(4)).length, 0);
    EXPECT_EQ(decode_instruction({}).length, 0);
}

TEST(RewriterInstruction, MemoryOperands) {
    const auto accesses = [](std::initializer_list<uint8_t> bytes) {
        return decode_instruction(std::vector<uint8_t>(bytes)).accesses_memory;
    };
    EXPECT_TRUE(accesses({0x8b, 0xb8, 1, 0, 0, 0}));         // mov 1(%rax),%edi
    EXPECT_FALSE(accesses({0x8d, 0xb8, 1, 0, 0, 0}));        // lea 1(%rax),%edi
    EXPECT_FALSE(accesses({0x0f, 0x1f, 0xb8, 1, 0, 0, 0}));  // nop
    EXPECT_FALSE(accesses({0x89, 0xc7}));                    // mov %eax,%edi
    const uint8_t thread_local_load[] = {0x64, 0x8b, 0xb8, 1, 0, 0, 0};
    EXPECT_TRUE(decode_instruction(thread_local_load).has_segment);
}

}  // namespace
}  // namespace coracle::rewriter
