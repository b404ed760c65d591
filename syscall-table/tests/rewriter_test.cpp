// The rewriter on code that runs in this process.
#include "syscall-table/rewriter/rewriter.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "syscall-table/rewriter/site.h"

struct Registers {
    uint64_t rax, rdi, rsi, rdx, r10, r8, r9, rbx, rbp, r12, r13, r14, r15, red_zone;
    bool operator==(const Registers&) const = default;
};
extern "C" {
void test_entry();
void run_site(const void* code, Registers* registers);
extern int test_entry_calls;
}

namespace coracle::rewriter {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
Bytes mov(uint32_t number) {
    return {0xb8, static_cast<uint8_t>(number), static_cast<uint8_t>(number >> 8), 0, 0};
}
const Bytes kSyscall = {0x0f, 0x05};
const Bytes kReturn = {0xc3};
const Bytes kNops(10, 0x90);

// Code of this process, and stub pages near it.
class OwnCode final : public CodeSpace {
  public:
    OwnCode() : code_(static_cast<uint8_t*>(map(nullptr))) {}
    ~OwnCode() {
        munmap(code_, kStubPageSize);
        for (uint64_t page : stub_pages) munmap(reinterpret_cast<void*>(page), kStubPageSize);
    }

    // Puts the bytes at the offset; returns their address.
    uint64_t put(const Bytes& bytes, size_t offset = 0) {
        std::copy(bytes.begin(), bytes.end(), code_ + offset);
        return reinterpret_cast<uint64_t>(code_) + offset;
    }

    size_t read_code_before(uint64_t end, uint8_t* to, size_t size) override {
        size = std::min<size_t>(size, end - reinterpret_cast<uint64_t>(code_));
        std::memcpy(to, reinterpret_cast<const void*>(end - size), size);
        return size;
    }
    Result<void> write_code(uint64_t address, std::span<const uint8_t> bytes) override {
        std::memcpy(reinterpret_cast<void*>(address), bytes.data(), bytes.size());
        return {};
    }
    Result<uint64_t> map_stub_page(uint64_t address, uint64_t) override {
        if (no_room) return Error(ENOMEM);
        stub_pages.push_back(reinterpret_cast<uint64_t>(
            map(reinterpret_cast<void*>(address - (stub_pages.size() + 1) * 0x10000))));
        return stub_pages.back();
    }

    std::vector<uint64_t> stub_pages;
    bool no_room = false;

  private:
    static void* map(void* hint) {
        void* page = mmap(hint, kStubPageSize, PROT_READ | PROT_WRITE | PROT_EXEC,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        EXPECT_NE(page, MAP_FAILED);
        return page;
    }
    uint8_t* code_;
};

const auto kEntry = reinterpret_cast<uint64_t>(&test_entry);
Registers some_registers() {
    return {0, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 0x5ed20e5ed20e};
}

// Sites are rewritten at their second trap.
bool trap_twice(Rewriter& rewriter, OwnCode& space, uint64_t site, uint64_t rax) {
    return rewriter.rewrite(space, site, rax) || rewriter.rewrite(space, site, rax);
}

TEST(Rewriter, FirstTrapLeavesTheSiteAlone) {
    OwnCode space;
    const uint64_t code = space.put(kNops + mov(SYS_getppid) + kSyscall + kReturn);
    const uint64_t site = code + kNops.size() + kMovSize;
    Rewriter rewriter(kEntry);
    EXPECT_FALSE(rewriter.rewrite(space, site, SYS_getppid));
    EXPECT_TRUE(space.stub_pages.empty());
    EXPECT_TRUE(rewriter.rewrite(space, site, SYS_getppid));
}

// However addresses fall, sites that trap in turn are rewritten before long.
TEST(Rewriter, SitesThatTrapInTurnAreAllRewritten) {
    OwnCode space;
    Rewriter rewriter(kEntry);
    constexpr size_t kSite = 20, kSites = 200, kRounds = 40;
    const Bytes code = Bytes(12, 0x90) + mov(SYS_getppid) + kSyscall + kReturn;
    size_t rewritten = 0;
    std::vector<bool> done(kSites);
    for (size_t round = 0; round < kRounds; ++round) {
        for (size_t i = 0; i < kSites; ++i) {
            if (done[i]) continue;
            if (round == 0) space.put(code, i * kSite);
            const uint64_t site = space.put({}, i * kSite) + 12 + kMovSize;
            done[i] = rewriter.rewrite(space, site, SYS_getppid);
            rewritten += done[i];
        }
    }
    EXPECT_EQ(rewritten, kSites);
}

TEST(Rewriter, RewrittenCallGivesTheSameAndKeepsRegistersAndRedZone) {
    OwnCode space;
    const uint64_t code = space.put(kNops + mov(SYS_getppid) + kSyscall + kReturn);
    const uint64_t site = code + kNops.size() + kMovSize;
    Registers expected = some_registers();
    run_site(reinterpret_cast<void*>(code), &expected);
    EXPECT_EQ(expected.rax, static_cast<uint64_t>(getppid()));

    Rewriter rewriter(kEntry);
    ASSERT_TRUE(trap_twice(rewriter, space, site, SYS_getppid));
    EXPECT_EQ(rewriter.rewritten_count(), 1u);
    const int calls = test_entry_calls;
    Registers actual = some_registers();
    run_site(reinterpret_cast<void*>(code), &actual);
    EXPECT_EQ(test_entry_calls, calls + 1);
    EXPECT_EQ(actual, expected);
}

TEST(Rewriter, JumpToTheSyscallItselfStillWorks) {
    OwnCode space;
    const uint64_t code = space.put(kNops + mov(SYS_getppid) + kSyscall + kReturn);
    const uint64_t site = code + kNops.size() + kMovSize;
    Rewriter rewriter(kEntry);
    ASSERT_TRUE(trap_twice(rewriter, space, site, SYS_getppid));
    const int calls = test_entry_calls;
    Registers registers = some_registers();
    registers.rax = SYS_getpid;
    run_site(reinterpret_cast<void*>(site), &registers);
    EXPECT_EQ(registers.rax, static_cast<uint64_t>(getpid()));
    EXPECT_EQ(test_entry_calls, calls);
}

TEST(Rewriter, ManySitesTakeMoreThanOnePage) {
    OwnCode space;
    Rewriter rewriter(kEntry);
    constexpr size_t kSite = 20, kSites = 200;
    const Bytes code = mov(SYS_getppid) + kSyscall + kReturn;
    for (size_t i = 0; i < kSites; ++i) {
        const uint64_t address = space.put(Bytes(12, 0x90) + code, i * kSite);
        ASSERT_TRUE(trap_twice(rewriter, space, address + 12 + kMovSize, SYS_getppid)) << i;
    }
    EXPECT_EQ(space.stub_pages.size(), 2u);
    const int calls = test_entry_calls;
    for (size_t i = 0; i < kSites; ++i) {
        Registers registers = some_registers();
        run_site(reinterpret_cast<void*>(space.put({}, i * kSite)), &registers);
        EXPECT_EQ(registers.rax, static_cast<uint64_t>(getppid()));
    }
    EXPECT_EQ(test_entry_calls, calls + static_cast<int>(kSites));
}

TEST(Rewriter, SiteKeepsTrappingWithoutRoom) {
    OwnCode space;
    space.no_room = true;
    const Bytes original = kNops + mov(SYS_getppid) + kSyscall + kReturn;
    const uint64_t code = space.put(original);
    Rewriter rewriter(kEntry);
    EXPECT_FALSE(trap_twice(rewriter, space, code + kNops.size() + kMovSize, SYS_getppid));
    EXPECT_EQ(std::memcmp(reinterpret_cast<void*>(code), original.data(), original.size()), 0);
}

TEST(Rewriter, CallsThatNeedATrapKeepIt) {
    OwnCode space;
    Rewriter rewriter(kEntry);
    for (uint32_t number : {SYS_rt_sigreturn, SYS_clone, SYS_vfork, SYS_execve}) {
        const uint64_t code = space.put(kNops + mov(number) + kSyscall);
        EXPECT_FALSE(trap_twice(rewriter, space, code + kNops.size() + kMovSize, number)) << number;
    }
}

TEST(Rewriter, FirstBytesOfAMapping) {
    OwnCode space;
    const uint64_t code = space.put(mov(SYS_getppid) + kSyscall + kReturn);
    Rewriter rewriter(kEntry);
    EXPECT_TRUE(trap_twice(rewriter, space, code + kMovSize, SYS_getppid));
    OwnCode bare;
    EXPECT_FALSE(trap_twice(rewriter, bare, bare.put(kSyscall + kReturn), SYS_getppid));
}

bool rewritable(const Bytes& before, uint64_t rax) {
    return is_rewritable(before, rax);
}

TEST(RewriterSite, NumberMustBeAllOfRax) {
    EXPECT_TRUE(rewritable(kNops + mov(39), 39));
    EXPECT_FALSE(rewritable(kNops + mov(39), 40));
    EXPECT_FALSE(rewritable(kNops + mov(39), 0x100000027));
    EXPECT_FALSE(rewritable(kNops + Bytes{0xb8, 0xda, 0xff, 0xff, 0xff}, 0xffffffda));
}

TEST(RewriterSite, OrdinaryNeighbours) {
    const Bytes neighbours[] = {
        {0x48, 0x89, 0xe6},        // mov %rsp,%rsi
        {0x31, 0xd2},              // xor %edx,%edx
        {0x48, 0x8b, 0x7d, 0xe8},  // mov -24(%rbp),%rdi
        {0x0f, 0x05},              // syscall
        {0x74, 0x26},              // je: its displacement would be a void prefix
        {0xf3, 0x0f, 0x1e, 0xfa},  // endbr64
    };
    for (const Bytes& neighbour : neighbours) {
        EXPECT_TRUE(rewritable(kNops + neighbour + mov(1), 1)) << testing::PrintToString(neighbour);
    }
}

// Instructions that end in b8 imm32 and are no mov to eax.
TEST(RewriterSite, TailsOfOtherInstructions) {
    const Bytes number = {1, 0, 0, 0};
    const Bytes tails[] = {
        Bytes{0x41, 0xb8} + number,                 // mov $1,%r8d
        Bytes{0xc7, 0x45, 0xb8} + number,           // movl $1,-0x48(%rbp)
        Bytes{0xc7, 0x44, 0x24, 0xb8} + number,     // movl $1,-0x48(%rsp)
        Bytes{0x81, 0x7d, 0xb8} + number,           // cmpl $1,-0x48(%rbp)
        Bytes{0x8d, 0xb8} + number,                 // lea 1(%rax),%edi
        Bytes{0x64, 0x8b, 0xb8} + number,           // mov %fs:1(%rax),%edi
        Bytes{0x8b, 0xb4, 0xb8} + number,           // mov 1(%rax,%rdi,4),%esi
        Bytes{0xc6, 0x83, 0xb8, 1, 0, 0, 0},        // movb $0,0x1b8(%rbx)
        Bytes{0x48, 0xb9, 0, 0, 0, 0xb8} + number,  // movabs $0x1b8000000,%rcx
        Bytes{0x0f, 0x1f, 0xb8} + number,           // nop
    };
    for (const Bytes& tail : tails) {
        EXPECT_FALSE(rewritable(kNops + tail, 1)) << testing::PrintToString(tail);
    }
}

TEST(RewriterSite, TooFewBytes) {
    EXPECT_TRUE(rewritable(mov(1), 1));
    EXPECT_FALSE(rewritable({1, 0, 0, 0}, 1));
    EXPECT_FALSE(rewritable({}, 0));
}

TEST(RewriterStub, OutOfReach) {
    EXPECT_TRUE(make_jump(0x400000, 0x400000 + (uint64_t{1} << 31)));
    EXPECT_FALSE(make_jump(0x400000, 0x400005 + (uint64_t{1} << 31)));
    EXPECT_FALSE(make_stub(0x400000, 1, 0x400ff8, 0x7fff00000000));
    EXPECT_FALSE(make_stub(0x400000, 1, 0x7fff00000000, 0x401000));
}

}  // namespace
}  // namespace coracle::rewriter
