// mremap(2).
#include "memory_support.h"

namespace {

void fill(char* start, size_t size) {
    for (size_t at = 0; at < size; at += kPage) *reinterpret_cast<size_t*>(start + at) = at + 1;
}
void expect_filled(const char* start, size_t size) {
    for (size_t at = 0; at < size; at += kPage) {
        ASSERT_EQ(*reinterpret_cast<const size_t*>(start + at), at + 1) << at;
    }
}
char* remap(void* old, size_t old_size, size_t new_size, int flags, void* place = nullptr) {
    return static_cast<char*>(mremap(old, old_size, new_size, flags, place));
}

TEST(Mremap, ShrinksInPlace) {
    Mapping map(4 * kPage);
    fill(map.data(), map.size());
    ASSERT_EQ(remap(map.data(), 4 * kPage, 2 * kPage, 0), map.data());
    expect_filled(map.data(), 2 * kPage);
    EXPECT_EQ(fault_of_read(map.page(2)), segv_maperr(map.page(2)));
}

TEST(Mremap, GrowsInPlaceWhereThereIsRoom) {
    Mapping map(4 * kPage);
    fill(map.data(), kPage);
    ASSERT_EQ(munmap(map.page(1), 3 * kPage), 0);
    ASSERT_EQ(remap(map.data(), kPage, 3 * kPage, 0), map.data());
    expect_filled(map.data(), kPage);
    EXPECT_EQ(map[2 * kPage], 0);
    EXPECT_EQ(fault_of_read(map.page(3)), segv_maperr(map.page(3)));
}

TEST(Mremap, DoesNotMoveUnasked) {
    Mapping map(4 * kPage);
    ASSERT_EQ(mprotect(map.page(2), kPage, PROT_READ), 0);
    EXPECT_ERRNO(ENOMEM, remap(map.data(), 2 * kPage, 3 * kPage, 0));
}

TEST(Mremap, MovesContents) {
    Mapping map(6 * kPage);
    fill(map.data(), 4 * kPage);
    ASSERT_EQ(mprotect(map.page(4), kPage, PROT_NONE), 0);
    char* moved = remap(map.data(), 4 * kPage, 64 * kPage, MREMAP_MAYMOVE);
    ASSERT_NE(moved, MAP_FAILED);
    EXPECT_NE(moved, map.data());
    expect_filled(moved, 4 * kPage);
    EXPECT_EQ(moved[5 * kPage], 0);
    EXPECT_EQ(fault_of_read(map.data()), segv_maperr(map.data()));
    munmap(moved, 64 * kPage);
}

TEST(Mremap, MovesHugePages) {
    Mapping map(8 * kHugePage);
    fill(map.data(), map.size());
    char* grown = remap(map.data(), 8 * kHugePage, 20 * kHugePage, MREMAP_MAYMOVE);
    ASSERT_NE(grown, MAP_FAILED);
    expect_filled(grown, 8 * kHugePage);
    // To a place that is not aligned as the old one.
    Mapping target(10 * kHugePage, PROT_NONE);
    char* odd =
        remap(grown, 8 * kHugePage, 8 * kHugePage, MREMAP_MAYMOVE | MREMAP_FIXED, target.page(7));
    ASSERT_EQ(odd, target.page(7));
    expect_filled(odd, 8 * kHugePage);
    munmap(grown, 20 * kHugePage);
}

TEST(Mremap, FixedReplacesTheTarget) {
    Mapping map(2 * kPage), target(4 * kPage);
    fill(map.data(), map.size());
    memset(target.data(), 9, target.size());
    ASSERT_EQ(
        remap(map.data(), 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target.page(1)),
        target.page(1));
    expect_filled(target.page(1), 2 * kPage);
    EXPECT_EQ(target[0], 9);
    EXPECT_EQ(target[3 * kPage], 9);
}

TEST(Mremap, PartOfAMappingKeepsTheRest) {
    Mapping map(5 * kPage), target(2 * kPage);
    memset(map.data(), 6, map.size());
    map[2 * kPage] = 7;
    ASSERT_EQ(remap(map.page(2), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target.data()),
              target.data());
    EXPECT_EQ(target[0], 7);
    EXPECT_EQ(map[kPage], 6);
    EXPECT_EQ(map[3 * kPage], 6);
    EXPECT_EQ(fault_of_read(map.page(2)), segv_maperr(map.page(2)));
}

TEST(Mremap, DontUnmapLeavesAnEmptyMapping) {
    Mapping map(2 * kPage);
    fill(map.data(), map.size());
    char* moved = remap(map.data(), 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
    ASSERT_NE(moved, MAP_FAILED);
    expect_filled(moved, 2 * kPage);
    EXPECT_EQ(map[0], 0);
    EXPECT_EQ(map[kPage], 0);
    munmap(moved, 2 * kPage);
}

TEST(Mremap, KeepsProtection) {
    Mapping map(kPage);
    map[0] = 1;
    ASSERT_EQ(mprotect(map.data(), kPage, PROT_READ), 0);
    Mapping target(kPage);
    ASSERT_EQ(remap(map.data(), kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, target.data()),
              target.data());
    EXPECT_EQ(target[0], 1);
    EXPECT_EQ(fault_of_write(target.data()), segv_accerr(target.data()));
}

TEST(Mremap, RefusesBadArguments) {
    Mapping map(4 * kPage);
    char* p = map.data();
    EXPECT_ERRNO(EINVAL, remap(p + 1, kPage, 2 * kPage, MREMAP_MAYMOVE));
    EXPECT_ERRNO(EINVAL, remap(p, kPage, 0, MREMAP_MAYMOVE));
    EXPECT_ERRNO(EINVAL, remap(p, kPage, kPage, 8));
    EXPECT_ERRNO(EINVAL, remap(p, kPage, kPage, MREMAP_FIXED, p));
    EXPECT_ERRNO(EINVAL, remap(p, kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
    EXPECT_ERRNO(EINVAL, remap(p, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, p + kPage));
    EXPECT_ERRNO(EINVAL, remap(p, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, p + 2 * kPage + 1));
    EXPECT_ERRNO(EINVAL, remap(p, 0, kPage, MREMAP_MAYMOVE));  // private memory has no second view
    EXPECT_ERRNO(EFAULT, remap(p, 1ul << 40, 1ul << 41, MREMAP_MAYMOVE));
    ASSERT_EQ(munmap(p, kPage), 0);
    EXPECT_ERRNO(EFAULT, remap(p, kPage, 2 * kPage, MREMAP_MAYMOVE));
}

TEST(Mremap, OverTwoMappingsIsRefused) {
    Mapping map(2 * kPage);
    ASSERT_EQ(mprotect(map.page(1), kPage, PROT_READ), 0);
    EXPECT_ERRNO(EFAULT, remap(map.data(), 2 * kPage, 3 * kPage, MREMAP_MAYMOVE));
}

TEST(Mremap, GrowingManyTimes) {
    size_t size = kPage;
    char* p = static_cast<char*>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    Mapping obstacle(kPage);
    while (size < (32 << 20)) {
        fill(p, size);
        p = remap(p, size, size * 2, MREMAP_MAYMOVE);
        ASSERT_NE(p, MAP_FAILED);
        expect_filled(p, size);
        size *= 2;
    }
    munmap(p, size);
}

}  // namespace
