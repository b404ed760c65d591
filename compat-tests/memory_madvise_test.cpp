// madvise(2).
#include "memory_support.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

namespace {

TEST(Madvise, DontneedForgets) {
    Mapping map(4 * kPage);
    memset(map.data(), 1, map.size());
    ASSERT_EQ(madvise(map.page(1), 2 * kPage, MADV_DONTNEED), 0);
    EXPECT_FALSE(is_resident(map.page(1)));
    EXPECT_EQ(map[0], 1);
    EXPECT_EQ(map[kPage], 0);
    EXPECT_EQ(map[2 * kPage], 0);
    EXPECT_EQ(map[3 * kPage], 1);
    map[kPage] = 2;
}

TEST(Madvise, DontneedInAHugePage) {
    Mapping map(3 * kHugePage);
    memset(map.data(), 1, map.size());
    char* page = map.data() + kHugePage + kHugePage / 2;
    page = reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(page) & -kPage);
    ASSERT_EQ(madvise(page, kPage, MADV_DONTNEED), 0);
    EXPECT_EQ(page[0], 0);
    EXPECT_EQ(page[-1], 1);
    EXPECT_EQ(page[kPage], 1);
}

TEST(Madvise, DontneedOfSharedMemoryKeepsIt) {
    Mapping map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    map[0] = 5;
    ASSERT_EQ(madvise(map.data(), kPage, MADV_DONTNEED), 0);
    EXPECT_EQ(map[0], 5);
}

TEST(Madvise, RemovePunchesSharedMemory) {
    Mapping map(3 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    memset(map.data(), 5, map.size());
    ASSERT_EQ(madvise(map.page(1), kPage, MADV_REMOVE), 0);
    EXPECT_EQ(map[0], 5);
    EXPECT_EQ(map[kPage], 0);
    EXPECT_EQ(map[2 * kPage], 5);
    Mapping anonymous(kPage);
    EXPECT_ERRNO(EINVAL, madvise(anonymous.data(), kPage, MADV_REMOVE));
}

TEST(Madvise, FreeMayForgetUntilWritten) {
    Mapping map(kPage);
    map[0] = 1;
    ASSERT_EQ(madvise(map.data(), kPage, MADV_FREE), 0);
    EXPECT_TRUE(map[0] == 0 || map[0] == 1);
    map[0] = 2;
    EXPECT_EQ(map[0], 2);
    Mapping shared(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    EXPECT_ERRNO(EINVAL, madvise(shared.data(), kPage, MADV_FREE));
}

TEST(Madvise, PopulateReadAndWrite) {
    Mapping map(4 * kPage);
    ASSERT_EQ(madvise(map.data(), 2 * kPage, MADV_POPULATE_READ), 0);
    ASSERT_EQ(madvise(map.page(2), 2 * kPage, MADV_POPULATE_WRITE), 0);
    for (size_t i = 0; i < 4; i++) EXPECT_TRUE(is_resident(map.page(i)));
    Mapping read_only(kPage, PROT_READ);
    EXPECT_ERRNO(EINVAL, madvise(read_only.data(), kPage, MADV_POPULATE_WRITE));
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(ENOMEM, madvise(map.data(), 3 * kPage, MADV_POPULATE_READ));
}

TEST(Madvise, HintsAreTaken) {
    Mapping map(4 * kPage);
    map[0] = 1;
    for (int advice :
         {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTFORK, MADV_DOFORK,
          MADV_DONTDUMP, MADV_DODUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT}) {
        EXPECT_EQ(madvise(map.data(), 2 * kPage, advice), 0) << advice;
    }
    EXPECT_EQ(map[0], 1);
}

TEST(Madvise, HolesArePassedOverAndTold) {
    Mapping map(3 * kPage);
    memset(map.data(), 1, map.size());
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(ENOMEM, madvise(map.data(), 3 * kPage, MADV_DONTNEED));
    EXPECT_EQ(map[0], 0);
    EXPECT_EQ(map[2 * kPage], 0);
    EXPECT_ERRNO(ENOMEM, madvise(map.data(), 3 * kPage, MADV_NORMAL));
}

TEST(Madvise, LockedMemoryStays) {
    Mapping map(kPage);
    if (mlock(map.data(), kPage) != 0) GTEST_SKIP() << "may not lock memory";
    map[0] = 1;
    EXPECT_ERRNO(EINVAL, madvise(map.data(), kPage, MADV_DONTNEED));
    EXPECT_EQ(map[0], 1);
    EXPECT_EQ(madvise(map.data(), kPage, MADV_DONTNEED_LOCKED), 0);
    EXPECT_EQ(map[0], 0);
}

TEST(Madvise, WipeonforkIsForPrivateAnonymousMemory) {
    Mapping shared(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    EXPECT_ERRNO(EINVAL, madvise(shared.data(), kPage, MADV_WIPEONFORK));
}

TEST(Madvise, RefusesBadArguments) {
    Mapping map(kPage);
    EXPECT_ERRNO(EINVAL, madvise(map.data() + 1, kPage, MADV_NORMAL));
    EXPECT_ERRNO(EINVAL, madvise(map.data(), kPage, 5));
    EXPECT_ERRNO(EINVAL, madvise(map.data(), kPage, -1));
    EXPECT_ERRNO(EINVAL, madvise(map.data(), 0, 99));
    EXPECT_ERRNO(EINVAL, madvise(map.data(), -1ul, MADV_NORMAL));
    EXPECT_EQ(madvise(map.data(), 0, MADV_NORMAL), 0);
    EXPECT_ERRNO(ENOMEM,
                 madvise(reinterpret_cast<void*>(0x10000000000 - kPage), kPage, MADV_NORMAL));
}

}  // namespace
