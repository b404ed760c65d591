#include "kernel-min/memory/frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kernel-min/memory/tests/fake_memory.h"

namespace coracle {
namespace {

struct Block {
    PhysAddr start;
    unsigned order;
    size_t size() const { return kPageSize << order; }
};

class Frames : public testing::Test {
  protected:
    void SetUp() override {
        set_up_fake_memory();
        free_before_ = frame_statistics().free;
    }
    void TearDown() override { EXPECT_EQ(frame_statistics().free, free_before_); }

    size_t free_before_ = 0;
};

bool overlaps(MemoryRange range, const Block& block) {
    return block.start < range.end && range.start < block.start + block.size();
}

std::vector<Block> allocate_everything(unsigned order) {
    std::vector<Block> blocks;
    for (;;) {
        auto frame = allocate_frames(order);
        if (!frame) break;
        blocks.push_back({frame.value(), order});
    }
    return blocks;
}

TEST_F(Frames, EveryFrameIsHandedOutOnce) {
    std::vector<Block> blocks = allocate_everything(0);
    EXPECT_EQ(blocks.size(), free_before_);
    EXPECT_EQ(frame_statistics().free, 0u);
    std::sort(blocks.begin(), blocks.end(),
              [](const Block& a, const Block& b) { return a.start < b.start; });
    for (size_t i = 0; i < blocks.size(); i++) {
        ASSERT_EQ(blocks[i].start % kPageSize, 0u);
        ASSERT_LT(blocks[i].start, kFakeMemorySize);
        ASSERT_FALSE(overlaps(kFakeHole, blocks[i]));
        ASSERT_FALSE(overlaps(kFakeReserved, blocks[i]));
        ASSERT_TRUE(i == 0 || blocks[i].start != blocks[i - 1].start);
    }
    for (const Block& block : blocks) put_frame(block.start);
}

TEST_F(Frames, LargestBlocksComeBackTogether) {
    size_t before;
    {
        std::vector<Block> blocks = allocate_everything(kMaxFrameOrder);
        before = blocks.size();
        for (const Block& block : blocks) put_frames(block.start, block.order);
    }
    std::vector<Block> singles = allocate_everything(0);
    std::shuffle(singles.begin(), singles.end(), std::mt19937(1));
    for (const Block& block : singles) put_frame(block.start);
    std::vector<Block> blocks = allocate_everything(kMaxFrameOrder);
    EXPECT_EQ(blocks.size(), before);
    EXPECT_GE(blocks.size(), kFakeMemorySize / (kPageSize << kMaxFrameOrder) - 3);
    for (const Block& block : blocks) put_frames(block.start, block.order);
}

TEST_F(Frames, RandomBlocksNeverOverlap) {
    std::mt19937 random(7);
    std::vector<Block> blocks;
    std::vector<uint8_t> used(kFakeMemorySize / kPageSize);
    for (int step = 0; step < 20000; step++) {
        if (blocks.empty() || random() % 5 < 3) {
            unsigned order = random() % (kMaxFrameOrder + 1);
            auto frame = allocate_frames(order);
            if (!frame) continue;
            Block block = {frame.value(), order};
            ASSERT_EQ(block.start % block.size(), 0u);
            for (size_t i = 0; i < block.size() / kPageSize; i++) {
                ASSERT_EQ(used[block.start / kPageSize + i]++, 0);
            }
            blocks.push_back(block);
        } else {
            size_t index = random() % blocks.size();
            Block block = blocks[index];
            blocks[index] = blocks.back();
            blocks.pop_back();
            bool frame_by_frame = random() % 2;
            for (size_t i = 0; i < block.size() / kPageSize; i++) {
                used[block.start / kPageSize + i] = 0;
                if (frame_by_frame) put_frame(block.start + i * kPageSize);
            }
            if (!frame_by_frame) put_frames(block.start, block.order);
        }
    }
    for (const Block& block : blocks) put_frames(block.start, block.order);
}

TEST_F(Frames, LastReferenceFrees) {
    PhysAddr frame = allocate_frame().value();
    EXPECT_TRUE(is_frame_exclusive(frame));
    get_frame(frame);
    EXPECT_FALSE(is_frame_exclusive(frame));
    put_frame(frame);
    EXPECT_TRUE(is_frame_exclusive(frame));
    EXPECT_EQ(frame_statistics().free, free_before_ - 1);
    put_frame(frame);
}

TEST_F(Frames, SharedFramesOfABlockSurviveIt) {
    PhysAddr block = allocate_frames(4).value();
    get_frame(block + 3 * kPageSize);
    put_frames(block, 4);
    EXPECT_EQ(frame_statistics().free, free_before_ - 1);
    EXPECT_TRUE(is_frame_exclusive(block + 3 * kPageSize));
    put_frame(block + 3 * kPageSize);
}

TEST_F(Frames, ReservedMemoryIsNeverExclusiveAndNeverFreed) {
    PhysAddr reserved = kFakeReserved.start;
    EXPECT_FALSE(is_frame_exclusive(reserved));
    get_frame(reserved);
    put_frame(reserved);
    put_frame(reserved);
    EXPECT_EQ(frame_statistics().free, free_before_);
    get_frame(1ul << 40);  // a device's registers
    put_frame(1ul << 40);
}

TEST_F(Frames, ZeroedFramesAreZero) {
    PhysAddr dirty = allocate_frame().value();
    memset(phys_to_virt(dirty), 0xff, kPageSize);
    put_frame(dirty);
    std::vector<PhysAddr> frames;
    for (int i = 0; i < 100; i++) {
        frames.push_back(allocate_zeroed_frame().value());
        auto* bytes = phys_to_virt<uint8_t>(frames.back());
        ASSERT_TRUE(std::all_of(bytes, bytes + kPageSize, [](uint8_t b) { return b == 0; }));
        memset(bytes, 0xff, kPageSize);
    }
    for (PhysAddr frame : frames) put_frame(frame);
}

}  // namespace
}  // namespace coracle
