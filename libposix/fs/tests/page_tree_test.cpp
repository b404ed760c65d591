#include "libposix/fs/page_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace coracle {
namespace {

void drop_all(PageTree& tree) { tree.clear(0, PageTree::kMaxPages, [](uint64_t) {}); }

TEST(PageTree, OnePageNeedsNoNode) {
    size_t before = frames_in_use();
    PageTree tree;
    ASSERT_TRUE(tree.set(0, 4096).ok());
    EXPECT_EQ(tree.get(0), 4096u);
    EXPECT_EQ(tree.get(1), 0u);
    EXPECT_EQ(frames_in_use(), before);
    drop_all(tree);
}

TEST(PageTree, BehavesAsAMap) {
    size_t before = frames_in_use();
    PageTree tree;
    std::map<uint64_t, uint64_t> expected;
    std::mt19937_64 random(7);
    for (int round = 0; round < 4000; round++) {
        uint64_t index = random() % (uint64_t{1} << (random() % 40));
        if (round % 7 == 6) {
            uint64_t end = index + random() % 2000;
            tree.clear(index, end, [](uint64_t) {});
            expected.erase(expected.lower_bound(index), expected.lower_bound(end));
        } else {
            uint64_t slot = (random() % 1000 + 1) * 4096;
            ASSERT_TRUE(tree.set(index, slot).ok());
            expected[index] = slot;
        }
        uint64_t probe = random() % (uint64_t{1} << (random() % 40));
        auto found = expected.find(probe);
        EXPECT_EQ(tree.get(probe), found == expected.end() ? 0 : found->second);
        uint64_t next = probe;
        uint64_t slot = tree.next(next);
        auto following = expected.lower_bound(probe);
        if (following == expected.end()) {
            EXPECT_EQ(slot, 0u);
        } else {
            EXPECT_EQ(next, following->first);
            EXPECT_EQ(slot, following->second);
        }
    }
    drop_all(tree);
    EXPECT_EQ(frames_in_use(), before);
}

TEST(PageTree, KeepsItsContentsWithoutMemory) {
    PageTree tree;
    ASSERT_TRUE(tree.set(0, 4096).ok());
    frame_limit = frames_in_use();
    EXPECT_EQ(tree.set(100000, 4096).error_code(), ENOMEM);
    frame_limit = SIZE_MAX;
    EXPECT_EQ(tree.get(0), 4096u);
    drop_all(tree);
}

}  // namespace
}  // namespace coracle
