#include "kernel-min/devices/virtio/virtqueue.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "kernel-min/devices/tests/fake_device.h"

namespace coracle::virtio {
namespace {

using Buffer = Virtqueue::Buffer;

class VirtqueueTest : public testing::TestWithParam<bool> {
  protected:
    Virtqueue queue_;
    FakeDevice device_{queue_, 8, GetParam()};
};

TEST_P(VirtqueueTest, LaysRingsOutAsLegacyDevicesExpect) {
    EXPECT_EQ(queue_.descriptors_address() % kPageSize, 0u);
    EXPECT_EQ(queue_.available_address(), queue_.descriptors_address() + 8 * 16);
    EXPECT_EQ(queue_.used_address(), queue_.descriptors_address() + kPageSize);
    EXPECT_EQ(Virtqueue::memory_size(8), kPageSize + 6 + 64);
}

TEST_P(VirtqueueTest, DeviceSeesTheChain) {
    Buffer chain[] = {{0x1000, 16, false}, {0x2000, 32, false}, {0x3000, 64, true}};
    ASSERT_TRUE(queue_.add(chain, 77));
    EXPECT_FALSE(device_.take()) << "not published yet";
    EXPECT_TRUE(queue_.publish());
    auto seen = device_.take();
    ASSERT_TRUE(seen);
    ASSERT_EQ(seen->buffers.size(), 3u);
    EXPECT_EQ(seen->buffers[0].address, 0x1000u);
    EXPECT_EQ(seen->buffers[0].flags, kDescriptorNext);
    EXPECT_EQ(seen->buffers[1].length, 32u);
    EXPECT_EQ(seen->buffers[2].address, 0x3000u);
    EXPECT_EQ(seen->buffers[2].flags, kDescriptorWrite);
    EXPECT_FALSE(queue_.take_used());
    device_.give_back(seen->head, 50);
    auto used = queue_.take_used();
    ASSERT_TRUE(used);
    EXPECT_EQ(used->token, 77u);
    EXPECT_EQ(used->length, 50u);
    EXPECT_EQ(queue_.free_descriptors(), 8);
}

TEST_P(VirtqueueTest, RefusesMoreThanItHasAndRecovers) {
    Buffer pair[] = {{0x1000, 1, false}, {0x2000, 1, false}};
    for (int i = 0; i < 4; i++) ASSERT_TRUE(queue_.add(pair, i));
    EXPECT_FALSE(queue_.add({pair, 1}, 4));
    queue_.publish();
    device_.give_back(device_.take()->head, 0);
    EXPECT_FALSE(queue_.add(pair, 5)) << "the descriptors come back with take_used()";
    EXPECT_EQ(queue_.take_used()->token, 0u);
    EXPECT_TRUE(queue_.add(pair, 5));
    EXPECT_FALSE(queue_.add({pair, 1}, 6));
}

TEST_P(VirtqueueTest, SkipsElementsTheDeviceWasNeverGiven) {
    Buffer buffer{0x1000, 1, false};
    queue_.add({&buffer, 1}, 9);
    queue_.publish();
    uint16_t head = device_.take()->head;
    device_.give_back(12345, 0);
    device_.give_back(head + 1, 0);
    EXPECT_FALSE(queue_.take_used());
    device_.give_back(head, 3);
    EXPECT_EQ(queue_.take_used()->token, 9u);
    device_.give_back(head, 3);
    EXPECT_FALSE(queue_.take_used()) << "given back twice";
}

TEST_P(VirtqueueTest, InterruptsAreAskedForAndRefused) {
    Buffer buffer{0x1000, 1, false};
    auto pass_one = [&] {
        queue_.add({&buffer, 1}, 0);
        queue_.publish();
        return device_.give_back(device_.take()->head, 0);
    };
    EXPECT_FALSE(queue_.enable_interrupts());
    EXPECT_TRUE(pass_one());
    EXPECT_TRUE(queue_.enable_interrupts()) << "one has been used meanwhile";
    queue_.take_used();
    queue_.disable_interrupts();
    for (int i = 0; i < 100; i++) {
        EXPECT_FALSE(pass_one());
        queue_.take_used();
    }
    EXPECT_FALSE(queue_.enable_interrupts());
    EXPECT_TRUE(pass_one());
}

TEST_P(VirtqueueTest, LongRandomRunKeepsTokensAndOrder) {
    std::mt19937 random(GetParam());
    std::deque<uint64_t> expected;
    uint64_t next_token = 0;
    for (int step = 0; step < 300000; step++) {
        switch (random() % 3) {
            case 0: {
                Buffer chain[3] = {{next_token << 12, 1, false}, {1, 2, false}, {2, 3, true}};
                if (queue_.add({chain, 1 + random() % 3}, next_token)) next_token++;
                break;
            }
            case 1:
                queue_.publish();
                if (auto chain = device_.take()) {
                    expected.push_back(chain->buffers[0].address >> 12);
                    device_.give_back(chain->head, 1);
                }
                break;
            case 2:
                if (auto used = queue_.take_used()) {
                    ASSERT_EQ(used->token, expected.front());
                    expected.pop_front();
                } else {
                    ASSERT_TRUE(expected.empty());
                }
        }
    }
    EXPECT_GT(next_token, 65536u) << "the indices have wrapped";
}

INSTANTIATE_TEST_SUITE_P(, VirtqueueTest, testing::Bool(),
                         [](auto& info) { return info.param ? "EventIndex" : "Flags"; });

TEST(VirtqueueNotification, FollowsTheFlag) {
    Virtqueue queue;
    FakeDevice device(queue, 4, false);
    Buffer buffer{0x1000, 1, false};
    EXPECT_FALSE(queue.publish()) << "nothing was added";
    device.set_no_notify(true);
    queue.add({&buffer, 1}, 0);
    EXPECT_FALSE(queue.publish());
    device.set_no_notify(false);
    queue.add({&buffer, 1}, 0);
    EXPECT_TRUE(queue.publish());
}

TEST(VirtqueueNotification, FollowsTheEventIndex) {
    Virtqueue queue;
    FakeDevice device(queue, 4, true);
    Buffer buffer{0x1000, 1, false};
    device.set_available_event(2);  // "when the third is there"
    queue.add({&buffer, 1}, 0);
    EXPECT_FALSE(queue.publish());
    queue.add({&buffer, 1}, 0);
    queue.add({&buffer, 1}, 0);
    EXPECT_TRUE(queue.publish()) << "the step passes the event";
    queue.add({&buffer, 1}, 0);
    EXPECT_FALSE(queue.publish());
}

}  // namespace
}  // namespace coracle::virtio
