// mlock(2), mlock2(2), munlock(2), mlockall(2), munlockall(2), msync(2).
#include <sys/resource.h>

#include "memory_support.h"

namespace {

TEST(Mlock, BringsPagesIn) {
    Mapping map(4 * kPage);
    ASSERT_EQ(mlock(map.page(1) + 5, kPage), 0);
    EXPECT_FALSE(is_resident(map.page(0)));
    EXPECT_TRUE(is_resident(map.page(1)));
    EXPECT_TRUE(is_resident(map.page(2)));
    EXPECT_FALSE(is_resident(map.page(3)));
    EXPECT_EQ(munlock(map.page(1), 2 * kPage), 0);
}

TEST(Mlock, OnFaultDoesNot) {
    Mapping map(2 * kPage);
    ASSERT_EQ(mlock2(map.data(), 2 * kPage, MLOCK_ONFAULT), 0);
    EXPECT_FALSE(is_resident(map.page(0)));
    map[0] = 1;
    EXPECT_TRUE(is_resident(map.page(0)));
}

TEST(Mlock, HolesAreAnError) {
    Mapping map(3 * kPage);
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(ENOMEM, mlock(map.data(), 3 * kPage));
    EXPECT_ERRNO(ENOMEM, munlock(map.data(), 3 * kPage));
}

TEST(Mlock, RefusesBadArguments) {
    Mapping map(kPage);
    EXPECT_ERRNO(EINVAL, mlock2(map.data(), kPage, 2));
    EXPECT_ERRNO(EINVAL, mlockall(0));
    EXPECT_ERRNO(EINVAL, mlockall(MCL_ONFAULT));
    EXPECT_ERRNO(EINVAL, mlockall(64));
    EXPECT_EQ(mlock(map.data(), 0), 0);
}

TEST(Mlock, AllOfTheFuture) {
    if (mlockall(MCL_FUTURE) != 0) GTEST_SKIP() << "may not lock memory";
    Mapping map(2 * kPage);
    EXPECT_TRUE(is_resident(map.page(0)));
    EXPECT_TRUE(is_resident(map.page(1)));
    ASSERT_EQ(munlockall(), 0);
    Mapping later(kPage);
    EXPECT_FALSE(is_resident(later.page(0)));
}

TEST(Mlock, MmapFlagBringsPagesIn) {
    Mapping map(2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED);
    EXPECT_TRUE(is_resident(map.page(1)));
}

TEST(Msync, ChecksItsArguments) {
    Mapping map(3 * kPage);
    EXPECT_EQ(msync(map.data(), map.size(), MS_SYNC), 0);
    EXPECT_EQ(msync(map.data(), map.size(), MS_ASYNC | MS_INVALIDATE), 0);
    EXPECT_EQ(msync(map.data(), 0, MS_SYNC), 0);
    EXPECT_ERRNO(EINVAL, msync(map.data() + 1, kPage, MS_SYNC));
    EXPECT_ERRNO(EINVAL, msync(map.data(), kPage, MS_SYNC | MS_ASYNC));
    EXPECT_ERRNO(EINVAL, msync(map.data(), kPage, 8));
    EXPECT_ERRNO(ENOMEM, msync(map.data(), -1ul - 2 * kPage, MS_SYNC));
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(ENOMEM, msync(map.data(), 3 * kPage, MS_SYNC));
}

TEST(Msync, InvalidateOfLockedMemoryIsBusy) {
    Mapping map(kPage);
    if (mlock(map.data(), kPage) != 0) GTEST_SKIP() << "may not lock memory";
    EXPECT_ERRNO(EBUSY, msync(map.data(), kPage, MS_INVALIDATE));
}

}  // namespace
