// brk(2), by the raw call: it answers the break that holds.
#include <sys/resource.h>
#include <sys/syscall.h>

#include "memory_support.h"

namespace {

uintptr_t raw_brk(uintptr_t to) {
    return static_cast<uintptr_t>(syscall(SYS_brk, to));
}

TEST(Brk, GrowsAndShrinks) {
    uintptr_t start = raw_brk(0);
    ASSERT_NE(start, 0u);
    ASSERT_EQ(raw_brk(start + 10 * kPage), start + 10 * kPage);
    auto* bytes = reinterpret_cast<char*>(start);
    memset(bytes, 3, 10 * kPage);
    ASSERT_EQ(raw_brk(start + 5 * kPage), start + 5 * kPage);
    EXPECT_EQ(bytes[5 * kPage - 1], 3);
    ASSERT_EQ(raw_brk(start + 10 * kPage), start + 10 * kPage);
    EXPECT_EQ(bytes[9 * kPage], 0);
    EXPECT_EQ(raw_brk(start), start);
}

TEST(Brk, NeedNotBeAligned) {
    uintptr_t start = raw_brk(0);
    EXPECT_EQ(raw_brk(start + 12345), start + 12345);
    EXPECT_EQ(raw_brk(0), start + 12345);
    EXPECT_EQ(raw_brk(start), start);
}

TEST(Brk, AnswersTheOldBreakForWhatCannotBe) {
    uintptr_t start = raw_brk(0);
    EXPECT_EQ(raw_brk(1), start);
    EXPECT_EQ(raw_brk(UINTPTR_MAX), start);
    EXPECT_EQ(raw_brk(0x7fffffffffff), start);
    EXPECT_EQ(raw_brk(0xffff888000000000), start);
    EXPECT_EQ(raw_brk(0), start);
}

TEST(Brk, ObeysTheDataLimit) {
    uintptr_t start = raw_brk(0);
    struct rlimit old;
    getrlimit(RLIMIT_DATA, &old);
    struct rlimit small = {4 * kPage, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_DATA, &small), 0);
    uintptr_t answer = raw_brk(start + (64 << 20));
    setrlimit(RLIMIT_DATA, &old);
    EXPECT_EQ(answer, start);
}

TEST(Brk, StopsAtAnotherMapping) {
    uintptr_t start = raw_brk(0);
    uintptr_t obstacle = ((start + kPage - 1) & -kPage) + 16 * kPage;
    void* p = mmap(reinterpret_cast<void*>(obstacle), kPage, PROT_READ,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    ASSERT_EQ(p, reinterpret_cast<void*>(obstacle));
    EXPECT_EQ(raw_brk(obstacle + kPage), start);
    EXPECT_EQ(raw_brk(start + 8 * kPage), start + 8 * kPage);
    EXPECT_EQ(raw_brk(start), start);
    munmap(p, kPage);
}

}  // namespace
