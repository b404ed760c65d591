// A model of a network card's queues under load: driver and device each sleep when they find
// nothing, and must be woken. A notification that is lost leaves both asleep with work to do, which
// is how other kernels lose the network after some thousand packets.
#include <gtest/gtest.h>

#include <random>

#include "kernel-min/devices/tests/fake_device.h"

namespace coracle::virtio {
namespace {

class ModelTest : public testing::TestWithParam<bool> {
  protected:
    static constexpr uint16_t kSize = 16;
    Virtqueue queue_;
    FakeDevice device_{queue_, kSize, GetParam()};
    std::mt19937 random_{GetParam() ? 1u : 2u};
};

// The receive queue: the device uses buffers when frames come, the driver polls with interrupts
// off, asks for one before it sleeps, and looks once more.
TEST_P(ModelTest, ReceivedFramesNeverWaitForASleepingDriver) {
    enum class Driver { kPolling, kAsleep };
    Driver driver = Driver::kPolling;
    std::vector<uint16_t> held;
    uint64_t given = 0, taken = 0, interrupts = 0;
    auto refill = [&] {
        Virtqueue::Buffer buffer{0x1000, 64, true};
        while (queue_.free_descriptors() > 0) queue_.add({&buffer, 1}, 0);
        queue_.publish();
    };
    refill();
    queue_.disable_interrupts();
    for (int step = 0; step < 1'000'000; step++) {
        if (random_() % 2) {
            // Frames come in a burst; what there is no buffer for is dropped.
            for (uint32_t burst = random_() % 4; burst > 0; burst--) {
                auto chain = device_.take();
                if (!chain) break;
                bool interrupt = device_.give_back(chain->head, 60);
                given++;
                if (interrupt) {
                    interrupts++;
                    if (driver == Driver::kAsleep) {
                        queue_.disable_interrupts();
                        driver = Driver::kPolling;
                    }
                }
            }
            ASSERT_FALSE(driver == Driver::kAsleep && given != taken)
                << "lost after " << given << " frames";
        } else if (driver == Driver::kPolling) {
            uint32_t budget = random_() % 8;
            while (budget > 0 && queue_.take_used()) {
                taken++;
                budget--;
            }
            refill();
            if (queue_.has_used() || random_() % 3 == 0) continue;
            // The device may use one between the two halves of falling asleep.
            bool early = random_() % 4 == 0;
            if (early) {
                if (auto chain = device_.take()) {
                    device_.give_back(chain->head, 60);
                    given++;
                }
            }
            if (queue_.enable_interrupts()) {
                queue_.disable_interrupts();
            } else {
                driver = Driver::kAsleep;
                ASSERT_EQ(given, taken);
            }
        }
    }
    EXPECT_GT(given, 3u * 65536) << "the indices have wrapped";
    EXPECT_LT(interrupts, given) << "polling asked for none";
}

// The transmit queue: the driver publishes in batches and notifies when it is asked to; the device
// asks before it sleeps, and looks once more.
TEST_P(ModelTest, SentFramesNeverWaitForASleepingDevice) {
    bool device_sleeps = true;
    uint64_t published = 0, sent = 0, kicks = 0;
    if (GetParam()) device_.set_available_event(0);
    for (int step = 0; step < 1'000'000; step++) {
        if (random_() % 2) {
            Virtqueue::Buffer pair[2] = {{0x1000, 12, false}, {0x2000, 60, false}};
            uint64_t added = 0;
            for (uint32_t batch = random_() % 5; batch > 0; batch--) {
                while (queue_.take_used()) {
                }
                added += queue_.add({pair, 1 + random_() % 2}, 0);
            }
            bool kick = queue_.publish();
            published += added;
            if (kick) {
                kicks++;
                device_sleeps = false;
            }
            ASSERT_FALSE(device_sleeps && published != sent) << "lost after " << sent << " frames";
        } else if (!device_sleeps) {
            device_.set_no_notify(true);
            uint32_t budget = random_() % 6;
            while (budget > 0) {
                auto chain = device_.take();
                if (!chain) break;
                device_.give_back(chain->head, 0);
                sent++;
                budget--;
            }
            if (published == sent) {
                device_.set_no_notify(false);
                device_sleeps = true;
            }
        }
    }
    EXPECT_GT(published, 3u * 65536);
    EXPECT_LT(kicks, published);
}

INSTANTIATE_TEST_SUITE_P(, ModelTest, testing::Bool(),
                         [](auto& info) { return info.param ? "EventIndex" : "Flags"; });

}  // namespace
}  // namespace coracle::virtio
