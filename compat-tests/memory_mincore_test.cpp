// mincore(2).
#include "memory_support.h"

namespace {

TEST(Mincore, ShowsWhatWasTouched) {
    Mapping map(6 * kPage);
    map[0] = map[3 * kPage] = 1;
    unsigned char states[6];
    memset(states, 0x55, sizeof(states));
    ASSERT_EQ(mincore(map.data(), map.size(), states), 0);
    for (int i = 0; i < 6; i++) EXPECT_EQ(states[i] & 1, i == 0 || i == 3) << i;
}

TEST(Mincore, RoundsTheLengthUp) {
    Mapping map(2 * kPage);
    map[kPage] = 1;
    unsigned char states[2] = {};
    ASSERT_EQ(mincore(map.data(), kPage + 1, states), 0);
    EXPECT_EQ(states[1] & 1, 1);
}

TEST(Mincore, RefusesBadArguments) {
    Mapping map(2 * kPage);
    unsigned char states[2];
    EXPECT_ERRNO(EINVAL, mincore(map.data() + 1, kPage, states));
    EXPECT_ERRNO(EFAULT, mincore(map.data(), kPage, nullptr));
    EXPECT_ERRNO(EFAULT, mincore(map.data(), kPage, reinterpret_cast<unsigned char*>(1)));
    EXPECT_ERRNO(ENOMEM, mincore(reinterpret_cast<void*>(-kPage), kPage, states));
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(ENOMEM, mincore(map.data(), 2 * kPage, states));
    EXPECT_EQ(mincore(map.data(), 0, states), 0);
}

}  // namespace
