#include "kernel-min/memory/page_table.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <random>

#include "kernel-min/memory/tests/fake_memory.h"

namespace coracle {
namespace {

constexpr uint64_t kFlags = pte::kPresent | pte::kUser;
constexpr uint64_t kBase = 0x7f0000000000;

class PageTables : public testing::Test {
  protected:
    void SetUp() override {
        set_up_fake_memory();
        free_before_ = frame_statistics().free;
        table_.emplace(allocate_zeroed_frame().value());
    }
    void TearDown() override {
        table_->free_lower_half();
        put_frame(table_->root());
        EXPECT_EQ(frame_statistics().free, free_before_);
    }

    void map(uint64_t address, PhysAddr frame) {
        *table_->make_entry(address).value() = frame | kFlags;
    }
    void map_huge(uint64_t address, PhysAddr frame) {
        *table_->make_huge_entry(address).value() = frame | kFlags | pte::kHuge;
    }
    // The physical address that the CPU would find; 0 if none.
    PhysAddr translate(uint64_t address) {
        bool is_huge = false;
        uint64_t* entry = table_->find(address, &is_huge);
        if (!entry || !(*entry & pte::kPresent)) return 0;
        uint64_t mask = (is_huge ? kHugePageSize : kPageSize) - 1;
        return (pte::address(*entry) & ~mask) | (address & mask);
    }

    size_t free_before_ = 0;
    std::optional<PageTable> table_;
};

TEST_F(PageTables, FindsWhatWasMadeAndNothingElse) {
    map(kBase, 0x1000);
    map(kBase + kPageSize, 0x2000);
    map(0x1000, 0x3000);
    EXPECT_EQ(translate(kBase + 5), 0x1005u);
    EXPECT_EQ(translate(kBase + kPageSize), 0x2000u);
    EXPECT_EQ(translate(0x1fff), 0x3fffu);
    EXPECT_EQ(translate(kBase + 2 * kPageSize), 0u);
    EXPECT_EQ(translate(kBase + (1ul << 40)), 0u);
}

TEST_F(PageTables, SplittingKeepsTranslationsAndFlags) {
    map_huge(kBase, 16 << 20);
    EXPECT_EQ(translate(kBase + 0x12345), (16u << 20) + 0x12345);
    ASSERT_TRUE(table_->split_at(kBase + 7 * kPageSize));
    for (uint64_t at = 0; at < kHugePageSize; at += kPageSize) {
        bool is_huge = true;
        uint64_t* entry = table_->find(kBase + at, &is_huge);
        ASSERT_FALSE(is_huge);
        ASSERT_EQ(*entry, ((16u << 20) + at) | kFlags);
    }
    ASSERT_TRUE(table_->split_at(kBase + 9 * kPageSize));
    ASSERT_TRUE(table_->split_at(kBase + kHugePageSize));
}

TEST_F(PageTables, ForEachVisitsTheRangeAndSplitsItsBorders) {
    map_huge(kBase, 16 << 20);
    map_huge(kBase + kHugePageSize, 18 << 20);
    map(kBase + 2 * kHugePageSize + 3 * kPageSize, 0x5000);
    size_t small = 0, huge = 0;
    uint64_t start = kBase + 500 * kPageSize, end = kBase + 3 * kHugePageSize;
    ASSERT_TRUE(table_->for_each(start, end, [&](uint64_t address, uint64_t*, bool is_huge) {
        EXPECT_GE(address, start);
        EXPECT_LT(address, end);
        (is_huge ? huge : small)++;
    }));
    EXPECT_EQ(small, 12u + 1u);
    EXPECT_EQ(huge, 1u);
}

TEST_F(PageTables, ForEachFindsAPageWhereverItLies) {
    for (unsigned page = 0; page < 512; page++) {
        const uint64_t address = kBase + page * kPageSize;
        map(address, 0x5000);
        for (unsigned from : {0u, 1u, 7u, 8u, 100u}) {
            for (unsigned to : {101u, 108u, 503u, 504u, 505u, 512u}) {
                unsigned visits = 0;
                ASSERT_TRUE(table_->for_each(kBase + from * kPageSize, kBase + to * kPageSize,
                                             [&](uint64_t at, uint64_t*, bool) {
                                                 visits++;
                                                 EXPECT_EQ(at, address);
                                             }));
                ASSERT_EQ(visits, page >= from && page < to ? 1u : 0u) << page << from << to;
            }
        }
        *table_->find(address) = 0;
    }
}

TEST_F(PageTables, HundredsOfGigabytesOfNothingAreSkippedQuickly) {
    map(kBase, 0x1000);
    size_t visits = 0;
    ASSERT_TRUE(table_->for_each(0, 1ul << 47, [&](uint64_t, uint64_t*, bool) { visits++; }));
    EXPECT_EQ(visits, 1u);
    EXPECT_EQ(table_->skip_empty(0, 1ul << 47), kBase);
    EXPECT_EQ(table_->skip_empty(kBase + kHugePageSize, 1ul << 47), 1ul << 47);
}

TEST_F(PageTables, LeafTablesOfWholeHugePagesAreFreed) {
    map(kBase, 0x1000);
    map(kBase + kHugePageSize, 0x2000);
    *table_->find(kBase) = 0;
    *table_->find(kBase + kHugePageSize) = 0;
    size_t before = frame_statistics().free;
    EXPECT_FALSE(table_->free_leaf_tables(kBase + kPageSize, kBase + 2 * kHugePageSize - 1));
    EXPECT_TRUE(table_->free_leaf_tables(kBase, kBase + kHugePageSize));
    EXPECT_EQ(frame_statistics().free, before + 1);
    EXPECT_TRUE(table_->free_leaf_tables(kBase, kBase + 2 * kHugePageSize));
    EXPECT_EQ(frame_statistics().free, before + 2);
    uint64_t* huge = table_->make_huge_entry(kBase).value();
    EXPECT_EQ(*huge, 0u);
}

TEST_F(PageTables, RandomAgainstAMap) {
    constexpr uint64_t kPages = 4 * 512;
    std::map<uint64_t, PhysAddr> model;
    std::mt19937_64 random(11);
    for (int step = 0; step < 20000; step++) {
        uint64_t page = random() % kPages, address = kBase + page * kPageSize;
        switch (random() % 4) {
            case 0:
                model[page] = (1 + random() % 1000) * kPageSize;
                map(address, model[page]);
                break;
            case 1:
                if (uint64_t* place = table_->make_huge_entry(address).value(); *place == 0) {
                    PhysAddr frame = (1 + random() % 1000) * kHugePageSize;
                    *place = frame | kFlags | pte::kHuge;
                    for (uint64_t i = 0; i < 512; i++) {
                        model[page / 512 * 512 + i] = frame + i * kPageSize;
                    }
                }
                break;
            case 2: {
                uint64_t end = address + random() % (600 * kPageSize) / kPageSize * kPageSize;
                if (end > kBase + kPages * kPageSize) end = kBase + kPages * kPageSize;
                ASSERT_TRUE(table_->for_each(address, end,
                                             [](uint64_t, uint64_t* entry, bool) { *entry = 0; }));
                table_->free_leaf_tables(address, end);
                for (uint64_t at = page; at < (end - kBase) / kPageSize; at++) model.erase(at);
                break;
            }
            default: {
                auto it = model.find(page);
                ASSERT_EQ(translate(address), it == model.end() ? 0 : it->second);
            }
        }
    }
}

}  // namespace
}  // namespace coracle
