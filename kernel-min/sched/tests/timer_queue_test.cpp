#include "kernel-min/sched/timer_queue.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace coracle {

namespace {
uint64_t now, armed_for;
}
uint64_t monotonic_ns() { return now; }
void arm_clock_timer(uint64_t nanoseconds) { armed_for = nanoseconds; }
TimerQueue& current_timer_queue() {
    static TimerQueue queue;
    return queue;
}

namespace {

class TimerQueueTest : public ::testing::Test {
  protected:
    struct Recorder {
        Recorder(std::vector<int>& order_in, int id_in)
            : order(order_in), id(id_in), timer(fire, this) {}
        static void fire(void* context) {
            auto* self = static_cast<Recorder*>(context);
            self->order.push_back(self->id);
            if (self->action) self->action();
        }
        std::vector<int>& order;
        int id;
        std::function<void()> action;
        Timer timer;
    };

    void SetUp() override {
        now = 1000;
        armed_for = 99;
    }
    Recorder& make(int id) {
        recorders_.push_back(std::make_unique<Recorder>(order_, id));
        return *recorders_.back();
    }

    std::vector<int> order_;
    std::vector<std::unique_ptr<Recorder>> recorders_;
};

TEST_F(TimerQueueTest, FiresInTheOrderOfDeadlines) {
    make(3).timer.start(3000);
    make(1).timer.start(1500);
    make(2).timer.start(2000);
    EXPECT_EQ(500u, armed_for);
    now = 1499;
    current_timer_queue().run_expired();
    EXPECT_TRUE(order_.empty());
    EXPECT_EQ(1u, armed_for);
    now = 2000;
    current_timer_queue().run_expired();
    EXPECT_EQ((std::vector<int>{1, 2}), order_);
    EXPECT_EQ(1000u, armed_for);
    now = 5000;
    current_timer_queue().run_expired();
    EXPECT_EQ((std::vector<int>{1, 2, 3}), order_);
    EXPECT_EQ(0u, armed_for) << "disarmed";
}

TEST_F(TimerQueueTest, EqualDeadlinesFireInTheOrderOfTheirStart) {
    for (int id : {5, 6, 7}) make(id).timer.start(2000);
    now = 2000;
    current_timer_queue().run_expired();
    EXPECT_EQ((std::vector<int>{5, 6, 7}), order_);
}

TEST_F(TimerQueueTest, CancelledOnesDoNotFire) {
    Recorder& first = make(1);
    first.timer.start(2000);
    make(2).timer.start(2500);
    EXPECT_TRUE(first.timer.is_active());
    first.timer.cancel();
    EXPECT_FALSE(first.timer.is_active());
    first.timer.cancel();
    now = 3000;
    current_timer_queue().run_expired();
    EXPECT_EQ((std::vector<int>{2}), order_);
}

TEST_F(TimerQueueTest, ALateOneIsDueAtOnce) {
    make(1).timer.start(10);
    EXPECT_EQ(1u, armed_for) << "0 would disarm";
    current_timer_queue().run_expired();
    EXPECT_EQ((std::vector<int>{1}), order_);
}

TEST_F(TimerQueueTest, CallbacksMayStartAndCancel) {
    Recorder& first = make(1);
    Recorder& second = make(2);
    first.action = [&] {
        second.timer.cancel();
        if (order_.size() < 3) first.timer.start(now + 100);
    };
    first.timer.start(1500);
    second.timer.start(1600);
    for (now = 1500; now < 3000; now += 50) current_timer_queue().run_expired();
    EXPECT_EQ((std::vector<int>{1, 1, 1}), order_);
}

TEST_F(TimerQueueTest, DestroyedTimersLeaveTheQueue) {
    make(1).timer.start(2000);
    recorders_.clear();
    now = 3000;
    current_timer_queue().run_expired();
    EXPECT_TRUE(order_.empty());
}

TEST_F(TimerQueueTest, AgreesWithASortedMap) {
    std::mt19937 random(42);
    std::multimap<uint64_t, int> model;
    std::vector<Recorder*> timers;
    for (int id = 0; id < 50; id++) timers.push_back(&make(id));
    for (int step = 0; step < 5000; step++) {
        const int id = static_cast<int>(random() % timers.size());
        Timer& timer = timers[static_cast<size_t>(id)]->timer;
        if (timer.is_active()) {
            auto [from, to] = model.equal_range(timer.deadline_ns());
            for (; from != to; ++from) {
                if (from->second == id) break;
            }
            model.erase(from);
        }
        if (random() % 4 == 0) {
            timer.cancel();
        } else {
            const uint64_t deadline = now + random() % 1000;
            timer.start(deadline);
            model.emplace(deadline, id);
        }
        now += random() % 20;
        order_.clear();
        current_timer_queue().run_expired();
        std::vector<int> expected;
        while (!model.empty() && model.begin()->first <= now) {
            expected.push_back(model.begin()->second);
            model.erase(model.begin());
        }
        ASSERT_EQ(expected, order_) << step;
        ASSERT_EQ(model.empty() ? 0 : model.begin()->first - now, armed_for);
    }
}

}  // namespace
}  // namespace coracle
