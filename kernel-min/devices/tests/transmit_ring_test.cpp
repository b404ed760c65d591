#include "kernel-min/devices/transmit_ring.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "kernel-min/devices/tests/fake_device.h"

namespace coracle {
namespace {

class TransmitRingTest : public testing::Test {
  protected:
    static constexpr size_t kSize = 256;

    TransmitRingTest() {
        ring_.initialize(memory_.data(), reinterpret_cast<uint64_t>(memory_.data()), kSize, queue_);
    }
    void append(const std::string& text) {
        ring_.put(0, text.data(), text.size());
        ring_.advance(text.size());
    }
    // The device takes one chain and adds its bytes to received_.
    bool device_step() {
        auto chain = device_.take();
        if (!chain) return false;
        for (auto& buffer : chain->buffers) {
            received_.append(reinterpret_cast<const char*>(buffer.address), buffer.length);
        }
        device_.give_back(chain->head, 0);
        return true;
    }

    virtio::Virtqueue queue_;
    virtio::FakeDevice device_{queue_, 4, true};
    std::vector<char> memory_ = std::vector<char>(kSize);
    TransmitRing ring_;
    std::string received_;
};

TEST_F(TransmitRingTest, SeveralFramesLeaveInOneChain) {
    append("one ");
    append("two");
    EXPECT_EQ(ring_.unpublished(), 7u);
    EXPECT_TRUE(ring_.publish());
    EXPECT_FALSE(ring_.publish()) << "nothing new";
    EXPECT_TRUE(device_step());
    EXPECT_FALSE(device_step());
    EXPECT_EQ(received_, "one two");
    EXPECT_FALSE(ring_.is_empty()) << "until it is reclaimed";
    EXPECT_TRUE(ring_.reclaim());
    EXPECT_TRUE(ring_.is_empty());
    EXPECT_EQ(ring_.free_space(), kSize);
}

TEST_F(TransmitRingTest, KeepsBytesThatFindNoDescriptor) {
    for (int i = 0; i < 6; i++) {
        append(std::to_string(i));
        ring_.publish();
    }
    EXPECT_EQ(ring_.unpublished(), 2u);
    while (device_step()) {
    }
    EXPECT_EQ(received_, "0123");
    ring_.reclaim();
    ring_.publish();
    device_step();
    EXPECT_EQ(received_, "012345");
}

TEST_F(TransmitRingTest, RandomLengthsComeOutInOrder) {
    std::mt19937 random(1);
    std::string sent;
    for (int step = 0; step < 100000; step++) {
        switch (random() % 4) {
            case 0:
            case 1: {
                std::string text(random() % (ring_.free_space() + 1), ' ');
                for (char& c : text) c = static_cast<char>(random());
                append(text);
                sent += text;
                break;
            }
            case 2:
                ring_.publish();
                device_step();
                break;
            case 3:
                ring_.reclaim();
        }
    }
    for (int i = 0; i < 10; i++) {
        ring_.publish();
        device_step();
        ring_.reclaim();
    }
    EXPECT_TRUE(ring_.is_empty());
    EXPECT_EQ(received_, sent);
}

}  // namespace
}  // namespace coracle
