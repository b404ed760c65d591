#include "kernel-min/memory/heap.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernel-min/memory/frames.h"
#include "kernel-min/memory/tests/fake_memory.h"

namespace coracle {
namespace {

struct Block {
    uint8_t* start;
    size_t size;
    uint8_t pattern;
};

void expect_intact(const Block& block) {
    for (size_t i = 0; i < block.size; i++) ASSERT_EQ(block.start[i], block.pattern);
}

TEST(Heap, BlocksKeepTheirContents) {
    set_up_fake_memory();
    size_t free_before = frame_statistics().free;
    std::mt19937 random(3);
    std::vector<Block> blocks;
    for (int step = 0; step < 30000; step++) {
        if (blocks.size() < 500 && random() % 5 < 3) {
            size_t size = random() % 8 ? random() % 3000 : random() % 100000;
            auto* start = static_cast<uint8_t*>(kernel_allocate(size));
            ASSERT_NE(start, nullptr);
            ASSERT_EQ(reinterpret_cast<uintptr_t>(start) % (size < kPageSize ? 16 : kPageSize), 0u);
            Block block = {start, size, static_cast<uint8_t>(step)};
            memset(start, block.pattern, size);
            blocks.push_back(block);
        } else if (!blocks.empty()) {
            size_t index = random() % blocks.size();
            expect_intact(blocks[index]);
            kernel_free(blocks[index].start);
            blocks[index] = blocks.back();
            blocks.pop_back();
        }
    }
    for (const Block& block : blocks) {
        expect_intact(block);
        kernel_free(block.start);
    }
    // An empty slab a size class may stay.
    EXPECT_GE(frame_statistics().free, free_before - 14);
}

TEST(Heap, SlabsAreGivenBack) {
    set_up_fake_memory();
    size_t free_before = frame_statistics().free;
    std::vector<void*> blocks;
    for (int i = 0; i < 10000; i++) blocks.push_back(kernel_allocate(100));
    EXPECT_LT(frame_statistics().free, free_before - 200);
    for (void* block : blocks) kernel_free(block);
    EXPECT_GE(frame_statistics().free, free_before - 1);
}

TEST(Heap, TooMuchIsNull) {
    set_up_fake_memory();
    EXPECT_EQ(kernel_allocate(SIZE_MAX), nullptr);
    EXPECT_EQ(kernel_allocate(1ul << 40), nullptr);
    std::vector<void*> blocks;
    while (void* block = kernel_allocate(1 << 20)) blocks.push_back(block);
    EXPECT_GT(blocks.size(), 50u);
    for (void* block : blocks) kernel_free(block);
    void* again = kernel_allocate(1 << 20);
    EXPECT_NE(again, nullptr);
    kernel_free(again);
    kernel_free(nullptr);
}

}  // namespace
}  // namespace coracle
