// mprotect(2) and pkeys(7).
#include <sys/syscall.h>

#include "memory_support.h"

namespace {

TEST(Mprotect, TakesAndGivesRights) {
    Mapping map(kPage);
    map[0] = 5;
    ASSERT_EQ(mprotect(map.data(), kPage, PROT_READ), 0);
    EXPECT_EQ(map[0], 5);
    EXPECT_EQ(fault_of_write(map.data()), segv_accerr(map.data()));
    ASSERT_EQ(mprotect(map.data(), kPage, PROT_NONE), 0);
    EXPECT_EQ(fault_of_read(map.data()), segv_accerr(map.data()));
    ASSERT_EQ(mprotect(map.data(), kPage, PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(map[0], 5);
    EXPECT_EQ(fault_of_write(map.data()), std::nullopt);
}

TEST(Mprotect, WriteAloneImpliesRead) {
    Mapping map(kPage, PROT_WRITE);
    map[0] = 3;
    EXPECT_EQ(fault_of_read(map.data()), std::nullopt);
}

TEST(Mprotect, MiddleOfAMapping) {
    Mapping map(5 * kPage);
    memset(map.data(), 9, map.size());
    ASSERT_EQ(mprotect(map.page(2), kPage, PROT_READ), 0);
    for (size_t i = 0; i < 5; i++) {
        auto expected = i == 2 ? segv_accerr(map.page(i)) : std::nullopt;
        EXPECT_EQ(fault_of_write(map.page(i)), expected) << i;
    }
    ASSERT_EQ(mprotect(map.data(), map.size(), PROT_READ | PROT_WRITE), 0);
    EXPECT_EQ(map[2 * kPage], 9);
    map[2 * kPage] = 1;
}

TEST(Mprotect, InTheMiddleOfAHugePage) {
    Mapping map(3 * kHugePage);
    memset(map.data(), 4, map.size());
    char* inside = map.data() + kHugePage + kHugePage / 2;
    inside = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(inside) & -kPage);
    ASSERT_EQ(mprotect(inside, kPage, PROT_NONE), 0);
    EXPECT_EQ(fault_of_read(inside), segv_accerr(inside));
    EXPECT_EQ(inside[-1], 4);
    EXPECT_EQ(inside[kPage], 4);
    ASSERT_EQ(mprotect(inside, kPage, PROT_READ), 0);
    EXPECT_EQ(inside[5], 4);
}

TEST(Mprotect, NoneKeepsContentsOfUntouchedAndTouchedPages) {
    Mapping map(4 * kPage);
    map[kPage] = 1;
    ASSERT_EQ(mprotect(map.data(), map.size(), PROT_NONE), 0);
    ASSERT_EQ(mprotect(map.data(), map.size(), PROT_READ), 0);
    EXPECT_EQ(map[0], 0);
    EXPECT_EQ(map[kPage], 1);
    EXPECT_EQ(map[2 * kPage], 0);
}

TEST(Mprotect, ExecutionNeedsItsRight) {
    Mapping map(kPage);
    map[0] = static_cast<char>(0xc3);  // ret
    auto call = [&] { reinterpret_cast<void (*)()>(map.data())(); };
    EXPECT_EQ(fault_of(call), segv_accerr(map.data()));
    ASSERT_EQ(mprotect(map.data(), kPage, PROT_READ | PROT_EXEC), 0);
    EXPECT_EQ(fault_of(call), std::nullopt);
    ASSERT_EQ(mprotect(map.data(), kPage, PROT_READ), 0);
    EXPECT_EQ(fault_of(call), segv_accerr(map.data()));
}

TEST(Mprotect, RefusesBadArguments) {
    Mapping map(2 * kPage);
    EXPECT_ERRNO(EINVAL, mprotect(map.data() + 1, kPage, PROT_READ));
    EXPECT_ERRNO(EINVAL, mprotect(map.data(), kPage, 0x10));
    EXPECT_ERRNO(EINVAL, mprotect(map.data(), kPage, PROT_GROWSUP | PROT_GROWSDOWN | PROT_READ));
    EXPECT_ERRNO(EINVAL, mprotect(map.data(), kPage, PROT_GROWSDOWN | PROT_READ));
    EXPECT_ERRNO(ENOMEM, mprotect(map.data(), -1ul, PROT_READ));
    EXPECT_ERRNO(ENOMEM, mprotect(reinterpret_cast<void*>(-kPage), kPage, PROT_READ));
    EXPECT_EQ(mprotect(map.data(), 0, 0x10), 0);
    EXPECT_EQ(mprotect(map.data(), 0, PROT_READ), 0);
}

TEST(Mprotect, HoleIsAnErrorAfterWhatComesBefore) {
    Mapping map(3 * kPage);
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(ENOMEM, mprotect(map.data(), 3 * kPage, PROT_READ));
    EXPECT_EQ(fault_of_write(map.data()), segv_accerr(map.data()));
    EXPECT_EQ(fault_of_write(map.page(2)), std::nullopt);
}

TEST(Pkeys, AreNotThere) {
    Mapping map(kPage);
    if (syscall(SYS_pkey_alloc, 0, 0) >= 0) GTEST_SKIP() << "this CPU has protection keys";
    EXPECT_EQ(syscall(SYS_pkey_mprotect, map.data(), kPage, PROT_READ, -1), 0);
    EXPECT_ERRNO(EINVAL, syscall(SYS_pkey_mprotect, map.data(), kPage, PROT_READ, 1));
    EXPECT_ERRNO(EINVAL, syscall(SYS_pkey_free, 1));
}

}  // namespace
