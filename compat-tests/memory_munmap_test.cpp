// munmap(2).
#include "memory_support.h"

namespace {

TEST(Munmap, MemoryIsGone) {
    Mapping map(3 * kPage);
    map[kPage] = 1;
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_EQ(fault_of_read(map.page(1)), segv_maperr(map.page(1)));
    EXPECT_EQ(fault_of_read(map.page(0)), std::nullopt);
    EXPECT_EQ(fault_of_read(map.page(2)), std::nullopt);
}

TEST(Munmap, OfNothingSucceeds) {
    Mapping map(2 * kPage);
    ASSERT_EQ(munmap(map.data(), kPage), 0);
    EXPECT_EQ(munmap(map.data(), kPage), 0);
}

TEST(Munmap, OverSeveralMappingsAndHoles) {
    Mapping map(8 * kPage);
    memset(map.data(), 1, map.size());
    ASSERT_EQ(mprotect(map.page(2), kPage, PROT_READ), 0);
    ASSERT_EQ(munmap(map.page(4), kPage), 0);
    ASSERT_EQ(munmap(map.page(1), 6 * kPage), 0);
    EXPECT_EQ(map[0], 1);
    EXPECT_EQ(map[7 * kPage], 1);
    for (int i = 1; i < 7; i++) EXPECT_EQ(fault_of_read(map.page(i)), segv_maperr(map.page(i)));
}

TEST(Munmap, RefusesBadArguments) {
    Mapping map(kPage);
    EXPECT_ERRNO(EINVAL, munmap(map.data() + 1, kPage));
    EXPECT_ERRNO(EINVAL, munmap(map.data(), 0));
    EXPECT_ERRNO(EINVAL, munmap(map.data(), -1ul));
    EXPECT_ERRNO(EINVAL, munmap(reinterpret_cast<void*>(0x7ffffffff000), kPage));
    EXPECT_ERRNO(EINVAL, munmap(reinterpret_cast<void*>(-kPage), kPage));
}

TEST(Munmap, PartOfAHugePage) {
    Mapping map(4 * kHugePage);
    for (size_t at = 0; at < map.size(); at += kPage) {
        *reinterpret_cast<size_t*>(map.data() + at) = at;
    }
    size_t middle = 2 * kHugePage + 3 * kPage;
    ASSERT_EQ(munmap(map.data() + middle, 2 * kPage), 0);
    for (size_t at = 0; at < map.size(); at += kPage) {
        if (at == middle || at == middle + kPage) continue;
        ASSERT_EQ(*reinterpret_cast<size_t*>(map.data() + at), at);
    }
    EXPECT_EQ(fault_of_read(map.data() + middle), segv_maperr(map.data() + middle));
}

TEST(Munmap, NewMemoryAtTheSamePlaceIsZero) {
    Mapping map(kPage);
    memset(map.data(), 1, kPage);
    for (int i = 0; i < 50; i++) {
        ASSERT_EQ(munmap(map.data(), kPage), 0);
        ASSERT_EQ(mmap(map.data(), kPage, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                  map.data());
        ASSERT_EQ(map[100], 0);
        memset(map.data(), i + 1, kPage);
    }
}

}  // namespace
