// coracle check: symbols against the image, and system calls in code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tools/check/direct_syscalls.h"
#include "tools/check/needs.h"
#include "tools/tests/temporary_folder.h"

namespace coracle {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

DirectSyscalls scan(std::vector<uint8_t> code) {
    // Ordinary instructions before it: what a function starts with.
    std::vector<uint8_t> padded(64, 0x90);
    padded.insert(padded.end(), code.begin(), code.end());
    DirectSyscalls found;
    scan_code(padded, found);
    return found;
}

TEST(DirectSyscallsTest, ConstantsBesideTheInstruction) {
    EXPECT_THAT(scan({0xb8, 0x27, 0, 0, 0, 0x0f, 0x05}).numbers, ElementsAre(0x27));
    // xor %eax,%eax
    EXPECT_THAT(scan({0x31, 0xc0, 0x0f, 0x05}).numbers, ElementsAre(0));
    // mov $0xca,%eax; mov $0x81,%esi; syscall
    EXPECT_THAT(scan({0xb8, 0xca, 0, 0, 0, 0xbe, 0x81, 0, 0, 0, 0x0f, 0x05}).numbers,
                ElementsAre(0xca));
    // mov $0x10f,%rax in 7 bytes
    EXPECT_THAT(scan({0x48, 0xc7, 0xc0, 0x0f, 0x01, 0, 0, 0x0f, 0x05}).numbers, ElementsAre(0x10f));
}

TEST(DirectSyscallsTest, ComputedNumbersAreCounted) {
    // mov %rdi,%rax; syscall
    DirectSyscalls found = scan({0x48, 0x89, 0xf8, 0x0f, 0x05});
    EXPECT_THAT(found.numbers, IsEmpty());
    EXPECT_EQ(found.unknown_sites, 1u);
    // mov $1,%eax; pop %rax; syscall
    EXPECT_EQ(scan({0xb8, 1, 0, 0, 0, 0x58, 0x0f, 0x05}).unknown_sites, 1u);
    // mov $1,%eax; ret; syscall: the constant is another path's.
    EXPECT_EQ(scan({0xb8, 1, 0, 0, 0, 0xc3, 0x0f, 0x05}).unknown_sites, 1u);
}

TEST(DirectSyscallsTest, TheSameBytesInsideAnotherInstruction) {
    // mov $0x050f,%ecx
    DirectSyscalls found = scan({0xb9, 0x0f, 0x05, 0, 0, 0x90});
    EXPECT_THAT(found.numbers, IsEmpty());
    EXPECT_EQ(found.unknown_sites, 0u);
}

TEST(DirectSyscallsTest, AtTheEdges) {
    DirectSyscalls found;
    scan_code(std::vector<uint8_t>{0x0f, 0x05}, found);
    EXPECT_EQ(found.unknown_sites, 1u);
    scan_code(std::vector<uint8_t>{0x0f}, found);
    scan_code({}, found);
    EXPECT_EQ(found.unknown_sites, 1u);
}

ElfSymbol symbol(const std::string& name, const std::string& version, bool defined,
                 bool weak = false) {
    ElfSymbol made;
    made.name = name;
    made.version = version;
    made.defined = defined;
    made.weak = weak;
    return made;
}

TEST(NeedsTest, SymbolsByNameAndVersion) {
    Closure closure;
    closure.objects.resize(2);
    closure.objects[0].path = "/program";
    closure.objects[0].elf.symbols = {
        symbol("read", "GLIBC_2.2.5", false), symbol("read", "GLIBC_9.9", false),
        symbol("helper", "", false), symbol("gone", "", false), symbol("maybe", "", false, true)};
    closure.objects[1].path = "/library";
    closure.objects[1].elf.symbols = {symbol("helper", "", true),
                                      symbol("read", "GLIBC_2.2.5", false)};
    ElfFile image;
    image.symbols = {symbol("read", "GLIBC_2.2.5", true)};
    Needs needs;
    match_symbols(closure, &image, needs);
    EXPECT_EQ(needs.symbols_needed, 3u);
    ASSERT_EQ(needs.missing_symbols.size(), 2u);
    EXPECT_EQ(needs.missing_symbols[0].version, "GLIBC_9.9");
    EXPECT_EQ(needs.missing_symbols[1].name, "gone");
    EXPECT_EQ(needs.missing_symbols[1].wanted_by, "/program");
}

TEST(NeedsTest, SystemCallsAgainstTheTable) {
    TemporaryFolder made;
    std::string table = made.file("/table.json",
                                  R"({"calls": [{"number": 0, "name": "read", "level": "full"},
                                      {"number": 39, "name": "getpid", "level": "none"}]})");
    Needs needs;
    match_syscalls({"/bin/busybox"}, read_syscall_table(table), needs);
    ASSERT_GT(needs.syscalls.size(), 50u) << "busybox-static makes its system calls itself";
    EXPECT_EQ(needs.syscalls[0].name, "read");
    EXPECT_EQ(needs.syscalls[0].level, "full");
    for (const SyscallNeed& call : needs.syscalls) {
        if (call.number == 39) {
            EXPECT_EQ(call.name, "getpid");
        }
        if (call.number > 39) {
            EXPECT_EQ(call.level, "none");
        }
    }
}

}  // namespace
}  // namespace coracle
