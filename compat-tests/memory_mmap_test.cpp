// mmap(2): anonymous memory, placement, and what is refused.
#include <sys/resource.h>

#include "memory_support.h"

namespace {

constexpr int kAnonymous = MAP_PRIVATE | MAP_ANONYMOUS;

bool is_mapped(void* address) {
    unsigned char state;
    return mincore(address, kPage, &state) == 0;
}

TEST(Mmap, AnonymousMemoryIsZeroAndWritable) {
    Mapping map(3 * kPage);
    for (size_t i = 0; i < map.size(); i += 64) ASSERT_EQ(map[i], 0);
    memset(map.data(), 0x5a, map.size());
    for (size_t i = 0; i < map.size(); i += 64) ASSERT_EQ(map[i], 0x5a);
}

TEST(Mmap, LengthIsRoundedUpToPages) {
    char* p = static_cast<char*>(mmap(nullptr, 1, PROT_READ | PROT_WRITE, kAnonymous, -1, 0));
    ASSERT_NE(p, MAP_FAILED);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % kPage, 0u);
    p[kPage - 1] = 1;
    EXPECT_EQ(munmap(p, 1), 0);
    EXPECT_FALSE(is_mapped(p));
}

TEST(Mmap, RefusesBadArguments) {
    EXPECT_ERRNO(EINVAL, mmap(nullptr, 0, PROT_READ, kAnonymous, -1, 0));
    EXPECT_ERRNO(EINVAL, mmap(nullptr, kPage, PROT_READ, MAP_ANONYMOUS, -1, 0));
    EXPECT_ERRNO(EINVAL, mmap(nullptr, kPage, PROT_READ, kAnonymous, -1, 1));
    EXPECT_ERRNO(EINVAL,
                 mmap(nullptr, kPage, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_ERRNO(
        EINVAL, mmap(nullptr, kPage, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    EXPECT_ERRNO(EBADF, mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, -1, 0));
    EXPECT_ERRNO(ENOMEM, mmap(nullptr, -1ul, PROT_READ, kAnonymous, -1, 0));
    EXPECT_ERRNO(ENOMEM, mmap(nullptr, -kPage, PROT_READ, kAnonymous, -1, 0));
    EXPECT_ERRNO(ENOMEM, mmap(nullptr, 1ul << 47, PROT_NONE, kAnonymous, -1, 0));
}

TEST(Mmap, ZeroLengthIsRefusedAfterTheDescriptor) {
    EXPECT_ERRNO(EBADF, mmap(nullptr, 0, PROT_READ, MAP_PRIVATE, 1000, 0));
}

TEST(Mmap, UnknownProtectionBitsAreIgnored) {
    Mapping map(kPage, PROT_READ | PROT_WRITE | 0xf0);
    map[0] = 1;
}

TEST(Mmap, HugePagesAreNotSetAside) {
    EXPECT_ERRNO(ENOMEM, mmap(nullptr, 64 * kHugePage, PROT_READ, kAnonymous | MAP_HUGETLB, -1, 0));
}

TEST(Mmap, FixedReplacesWhatIsThere) {
    Mapping map(3 * kPage);
    memset(map.data(), 1, map.size());
    void* p = mmap(map.page(1), kPage, PROT_READ | PROT_WRITE, kAnonymous | MAP_FIXED, -1, 0);
    ASSERT_EQ(p, map.page(1));
    EXPECT_EQ(map[0], 1);
    EXPECT_EQ(map[kPage], 0);
    EXPECT_EQ(map[2 * kPage], 1);
}

TEST(Mmap, FixedWantsAnAlignedAddressInTheUserHalf) {
    Mapping map(2 * kPage);
    EXPECT_ERRNO(EINVAL, mmap(map.data() + 1, kPage, PROT_READ, kAnonymous | MAP_FIXED, -1, 0));
    EXPECT_ERRNO(ENOMEM, mmap(reinterpret_cast<void*>(0x7ffffffff000), kPage, PROT_READ,
                              kAnonymous | MAP_FIXED, -1, 0));
    EXPECT_ERRNO(ENOMEM, mmap(reinterpret_cast<void*>(0xffff888000000000), kPage, PROT_READ,
                              kAnonymous | MAP_FIXED, -1, 0));
}

TEST(Mmap, FixedNoReplaceLeavesWhatIsThere) {
    Mapping map(2 * kPage);
    map[0] = 7;
    EXPECT_ERRNO(EEXIST,
                 mmap(map.data(), kPage, PROT_READ, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0));
    EXPECT_EQ(map[0], 7);
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_EQ(mmap(map.page(1), kPage, PROT_READ, kAnonymous | MAP_FIXED_NOREPLACE, -1, 0),
              map.page(1));
}

TEST(Mmap, HintIsTakenWhenFree) {
    Mapping map(4 * kPage);
    char* hole = map.page(1);
    ASSERT_EQ(munmap(hole, kPage), 0);
    EXPECT_EQ(mmap(hole + 5, kPage, PROT_READ, kAnonymous, -1, 0), hole);
    void* elsewhere = mmap(hole, kPage, PROT_READ, kAnonymous, -1, 0);
    EXPECT_NE(elsewhere, hole);
    munmap(elsewhere, kPage);
}

TEST(Mmap, LowHintIsRaised) {
    void* p = mmap(reinterpret_cast<void*>(0x1000), kPage, PROT_READ, kAnonymous, -1, 0);
    ASSERT_NE(p, MAP_FAILED);
    EXPECT_GE(reinterpret_cast<uintptr_t>(p), 0x10000u);
    munmap(p, kPage);
}

TEST(Mmap, TopDown) {
    Mapping first(64 * kPage), second(64 * kPage);
    EXPECT_LT(second.data(), first.data());
}

TEST(Mmap, FreedHoleIsUsedAgain) {
    Mapping guard(kPage);
    void* first = mmap(nullptr, 5 * kPage, PROT_READ, kAnonymous, -1, 0);
    Mapping below(kPage);
    munmap(first, 5 * kPage);
    void* second = mmap(nullptr, 5 * kPage, PROT_READ, kAnonymous, -1, 0);
    EXPECT_EQ(first, second);
    munmap(second, 5 * kPage);
}

TEST(Mmap, In32Bits) {
    void* p = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, kAnonymous | MAP_32BIT, -1, 0);
    ASSERT_NE(p, MAP_FAILED);
    EXPECT_GE(reinterpret_cast<uintptr_t>(p), 0x40000000u);
    EXPECT_LT(reinterpret_cast<uintptr_t>(p), 0x80000000u);
    munmap(p, kPage);
}

TEST(Mmap, NoreserveTakesHundredsOfGigabytes) {
    constexpr size_t kSize = 300ul << 30;
    Mapping map(kSize, PROT_READ | PROT_WRITE, kAnonymous | MAP_NORESERVE);
    map[0] = 1;
    map[kSize / 2] = 2;
    map[kSize - 1] = 3;
    EXPECT_EQ(map[0] + map[kSize / 2] + map[kSize - 1], 6);
}

TEST(Mmap, InaccessibleMemoryIsNotCharged) {
    Mapping map(300ul << 30, PROT_NONE);
}

TEST(Mmap, ObviousOvercommitIsRefused) {
    EXPECT_ERRNO(ENOMEM, mmap(nullptr, 1ul << 45, PROT_READ | PROT_WRITE, kAnonymous, -1, 0));
}

TEST(Mmap, PopulateBringsPagesIn) {
    Mapping map(8 * kPage, PROT_READ | PROT_WRITE, kAnonymous | MAP_POPULATE);
    unsigned char states[8] = {};
    ASSERT_EQ(mincore(map.data(), map.size(), states), 0);
    for (unsigned char state : states) EXPECT_EQ(state & 1, 1);
}

TEST(Mmap, SharedAnonymousMemoryCanBeMappedTwice) {
    Mapping map(2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
    map[5] = 42;
    char* twin = static_cast<char*>(mremap(map.data(), 0, 2 * kPage, MREMAP_MAYMOVE));
    ASSERT_NE(twin, MAP_FAILED);
    EXPECT_EQ(twin[5], 42);
    twin[kPage] = 43;
    EXPECT_EQ(map[kPage], 43);
    munmap(twin, 2 * kPage);
    EXPECT_EQ(map[kPage], 43);
}

TEST(Mmap, AddressSpaceLimit) {
    struct rlimit old;
    getrlimit(RLIMIT_AS, &old);
    struct rlimit small = {1 << 20, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &small), 0);
    errno = 0;
    void* p = mmap(nullptr, kPage, PROT_READ, kAnonymous, -1, 0);
    int error = errno;
    setrlimit(RLIMIT_AS, &old);
    EXPECT_EQ(p, MAP_FAILED);
    EXPECT_EQ(error, ENOMEM);
}

TEST(Mmap, DataLimitCountsPrivateWritableMemory) {
    struct rlimit old;
    getrlimit(RLIMIT_DATA, &old);
    struct rlimit small = {1 << 20, old.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_DATA, &small), 0);
    errno = 0;
    void* data = mmap(nullptr, 64 << 20, PROT_READ | PROT_WRITE, kAnonymous, -1, 0);
    int error = errno;
    void* text = mmap(nullptr, 64 << 20, PROT_READ, kAnonymous, -1, 0);
    int later = mprotect(text, 64 << 20, PROT_READ | PROT_WRITE);
    int later_error = errno;
    setrlimit(RLIMIT_DATA, &old);
    EXPECT_EQ(data, MAP_FAILED);
    EXPECT_EQ(error, ENOMEM);
    EXPECT_NE(text, MAP_FAILED);
    EXPECT_EQ(later, -1);
    EXPECT_EQ(later_error, ENOMEM);
    munmap(text, 64 << 20);
}

TEST(Mmap, ManySmallMappingsKeepTheirContents) {
    constexpr int kCount = 2000;
    static char* pages[kCount];
    for (int i = 0; i < kCount; i++) {
        // Protections that alternate keep neighbours from becoming one.
        int protection = i % 2 ? PROT_READ | PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC;
        pages[i] = static_cast<char*>(mmap(nullptr, kPage, protection, kAnonymous, -1, 0));
        ASSERT_NE(pages[i], MAP_FAILED);
        *reinterpret_cast<int*>(pages[i]) = i;
    }
    for (int i = 0; i < kCount; i += 2) ASSERT_EQ(munmap(pages[i], kPage), 0);
    for (int i = 1; i < kCount; i += 2) ASSERT_EQ(*reinterpret_cast<int*>(pages[i]), i);
    for (int i = 1; i < kCount; i += 2) munmap(pages[i], kPage);
}

TEST(Mmap, MemoryIsGivenBack) {
    // More than the machine has, a piece at a time.
    for (int i = 0; i < 40; i++) {
        Mapping map(32 << 20);
        for (size_t at = 0; at < map.size(); at += kPage) map[at] = 1;
    }
}

}  // namespace
