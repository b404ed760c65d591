// The patcher on functions of known shapes (syscall_shapes.S), linked as the image is.
#include "libposix/libc/patcher/syscall_sites.h"

#include <gtest/gtest.h>

#include <random>

#include "libposix/libc/patcher/image_writer.h"
#include "libposix/libc/patcher/moved_code.h"

namespace coracle::patcher {
namespace {

class SyscallSites : public ::testing::Test {
  protected:
    SyscallSites()
        : image_(TEST_IMAGE),
          original_(image_),
          symbols_(image_.read_symbols(".symtab")),
          code_(original_, symbols_),
          objects_(TEST_IMAGE ".map"),
          proof_(code_, objects_,
                 {{find("__stack_chk_fail").value, 0}, {find("takes_one").value, kRdi}}) {}

    const Symbol& find(const std::string& name) const {
        for (const Symbol& symbol : symbols_)
            if (symbol.name == name) return symbol;
        throw Error(name + " is not in the test image");
    }

    Area area(const char* name) const {
        return {find(name).value, find(name).value + find(name).size};
    }

    SyscallReport patch() {
        const SyscallAreas areas{area("coracle_called_stubs"), area("coracle_saving_stubs"),
                                 area("coracle_saving_more_stubs"),
                                 area("coracle_jumped_stubs"), area("coracle_call_slots"),
                                 find("coracle_syscall_entry").value};
        return patch_syscalls(image_, code_, proof_, areas, {find("stays"), find("host_syscall")},
                              {});
    }

    // The index of the function's syscall instruction in code_.
    size_t site(const std::string& function) const {
        for (size_t i = code_.find(find(function).value);; ++i)
            if (original_.read<uint16_t>(code_.instructions()[i].address) == 0x050f) return i;
    }

    std::optional<Registers> used(const std::string& function) const {
        return proof_.used_registers(site(function));
    }

    // The first instruction in the patched function that leads out of it.
    uint8_t first_exit(const std::string& name) const {
        const CodeMap code(image_, symbols_);
        const Symbol& function = find(name);
        for (size_t i = code.find(function.value);; ++i) {
            const uint64_t address = code.instructions()[i].address;
            if (address >= function.value + function.size) return 0;
            const auto opcode = image_.read<uint8_t>(address);
            if (opcode == 0xe8 || opcode == 0xff || opcode == 0xe9) return opcode;
        }
    }

    ElfImage image_;
    const ElfImage original_;
    std::vector<Symbol> symbols_;
    CodeMap code_;
    ObjectRanges objects_;
    CallProof proof_;
};

constexpr uint8_t kCall = 0xe8, kCallThroughPointer = 0xff, kJump = 0xe9;

TEST_F(SyscallSites, ProvesThatArgumentsAreDead) {
    EXPECT_EQ(used("plain"), 0U);
    EXPECT_EQ(used("fourth"), 0U);
    EXPECT_EQ(used("zero"), 0U);
    EXPECT_EQ(used("only_calls"), 0U);
    EXPECT_EQ(used("uses_argument"), kRdi);
    EXPECT_EQ(used("uses_argument_on_one_path"), kRsi);
    EXPECT_EQ(used("keeps_for_callee"), kR8);
    EXPECT_EQ(used("uses_two_arguments"), kRdi | kR9);
    EXPECT_EQ(used("moves_stack_operand"), kR8);
    EXPECT_EQ(used("called_from_its_object"), kRdi);
}

TEST_F(SyscallSites, RefusesWhatItCannotProve) {
    EXPECT_EQ(used("calls_after"), std::nullopt);
    EXPECT_EQ(used("keeps_vector"), std::nullopt);
}

TEST_F(SyscallSites, FindsNumbers) {
    EXPECT_EQ(proof_.number(site("plain")), 1U);
    EXPECT_EQ(proof_.number(site("zero")), 0U);
    EXPECT_EQ(proof_.number(site("moves_stack_operand")), 202U);
    EXPECT_EQ(proof_.number(site("copies_stack_pointer")), std::nullopt);
    EXPECT_EQ(proof_.number(site("jumped_into")), std::nullopt);
}

TEST_F(SyscallSites, FindsFourthArguments) {
    EXPECT_FALSE(proof_.may_have_fourth_argument(site("plain")));
    EXPECT_TRUE(proof_.may_have_fourth_argument(site("fourth")));
}

TEST_F(SyscallSites, ChoosesShapes) {
    patch();
    EXPECT_EQ(first_exit("plain"), kCallThroughPointer);
    EXPECT_EQ(first_exit("fourth"), kCall);
    EXPECT_EQ(first_exit("only_calls"), kCallThroughPointer);
    EXPECT_EQ(image_.read<uint16_t>(find("only_calls").value), 0x25ff);  // jmp *slot
    EXPECT_EQ(first_exit("keeps_for_callee"), kCall);
    EXPECT_EQ(first_exit("zero"), kCall);
    EXPECT_EQ(first_exit("uses_argument"), kCall);
    EXPECT_EQ(first_exit("spawns"), kCall);
    EXPECT_EQ(first_exit("moves_stack_operand"), kCall);
    EXPECT_EQ(first_exit("jumped_to"), kCall);
    EXPECT_EQ(first_exit("red_zone"), kJump);
    EXPECT_EQ(first_exit("copies_stack_pointer"), kJump);
}

TEST_F(SyscallSites, CountsAndRefuses) {
    const SyscallReport report = patch();
    EXPECT_EQ(report.c_calls, 10U);
    EXPECT_EQ(report.kept, 2U);
    ASSERT_EQ(report.unknown.size(), 1U);
    EXPECT_TRUE(report.unknown[0].starts_with("jumped_into"));
    EXPECT_EQ(report.slot_numbers, (std::vector<uint16_t>{1, 9, 0, 3, 40, 5, 202}));
    const Symbol& stays = find("stays");
    EXPECT_EQ(image_.read<uint16_t>(stays.value + 5), 0x050f);
    EXPECT_EQ(image_.read<uint16_t>(find("jumped_into").value + 5), 0x050f);
}

TEST_F(SyscallSites, MovedStackOperandsKeepTheirPlace) {
    CodeBuffer code(0x10000);
    const Instruction& load = code_.instructions()[site("moves_stack_operand") - 1];
    ASSERT_TRUE(code.move(code_.decode(load), load.address, 8));
    // mov 16(%rsp),%edx
    EXPECT_EQ(code.contents(), (std::vector<uint8_t>{0x8b, 0x54, 0x24, 0x10}));
}

TEST_F(SyscallSites, RefusesToMoveWhatDependsOnItsPlace) {
    const Instruction& copy = code_.instructions()[site("copies_stack_pointer") - 1];
    EXPECT_FALSE(CodeBuffer(0x10000).move(code_.decode(copy), copy.address, 8));
    EXPECT_TRUE(CodeBuffer(0x10000).move(code_.decode(copy), copy.address, 0));
    const Instruction& branch = code_.instructions()[site("plain") + 2];
    EXPECT_FALSE(CodeBuffer(0x10000).move(code_.decode(branch), branch.address, 0));
}

TEST_F(SyscallSites, MovedDataReferencesReachTheSameData) {
    const Instruction& compare = code_.instructions()[code_.find(find("zero").value)];
    CodeBuffer code(0x2000);
    ASSERT_TRUE(code.move(code_.decode(compare), compare.address, 0));
    const auto& bytes = code.contents();
    ASSERT_EQ(bytes.size(), 7U);
    int32_t distance;
    std::memcpy(&distance, bytes.data() + 2, sizeof(distance));
    EXPECT_EQ(0x2000 + bytes.size() + distance, find("coracle_syscall_entry").value);
}

std::vector<uint64_t> decode_relr(const std::vector<uint64_t>& entries) {
    std::vector<uint64_t> places;
    uint64_t next = 0;
    for (const uint64_t entry : entries) {
        if ((entry & 1) == 0) {
            places.push_back(entry);
            next = entry + 8;
            continue;
        }
        for (int bit = 1; bit < 64; ++bit)
            if (entry >> bit & 1) places.push_back(next + 8 * (bit - 1));
        next += 63 * 8;
    }
    return places;
}

TEST(Relr, DecodesToThePlacesThatWereEncoded) {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        std::set<uint64_t> places;
        const int count = static_cast<int>(random() % 300);
        const uint64_t range = 1 + random() % 3000;
        for (int i = 0; i < count; ++i) {
            // Now and then an address that is not a multiple of 8.
            places.insert(0x1000 + 8 * (random() % range) + (random() % 50 == 0 ? 4 : 0));
        }
        const std::vector<uint64_t> expected(places.begin(), places.end());
        EXPECT_EQ(decode_relr(encode_relr(expected)), expected);
    }
}

TEST(Relr, RefusesOddPlaces) {
    EXPECT_THROW(encode_relr({0x1001}), Error);
}

}  // namespace
}  // namespace coracle::patcher
