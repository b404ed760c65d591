// What belongs to a CPU of a machine that has several: clocks, timers, counters.
#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {
namespace {

constexpr unsigned kCpus = 4;

struct SeveralCpus {
    SeveralCpus() { test_cpu_count = kCpus; }
    ~SeveralCpus() {
        test_cpu_count = 1;
        test_cpu = 0;
    }
};

class TcpCpus : SeveralCpus, public Script {
  protected:
    void arm_timer(uint64_t deadline_ns) override { armed_ns[test_cpu] = deadline_ns; }
    void run_on(unsigned cpu) {
        test_cpu = cpu;
        stack.set_now(time_ns);
    }
    // What a CPU's timer would do now.
    void fire(unsigned cpu) {
        run_on(cpu);
        armed_ns[cpu] = kNever;
        stack.run_timers();
    }

    uint64_t armed_ns[kCpus] = {kNever, kNever, kNever, kNever};
};

TEST_F(TcpCpus, TimerIsOfTheCpuThatSetIt) {
    accept_connection();
    run_on(2);
    send("lost");
    EXPECT_EQ(next().payload, "lost");
    EXPECT_EQ(connection->timer_cpu, 2);
    ASSERT_NE(armed_ns[2], kNever);
    time_ns = armed_ns[2];
    for (unsigned other : {0u, 1u, 3u}) fire(other);
    expect_none();
    fire(2);
    EXPECT_EQ(next().payload, "lost");
}

TEST_F(TcpCpus, TimerMovesToTheCpuThatSetsItEarlier) {
    accept_connection();
    connection->options.keep_alive = true;
    run_on(1);
    connection->keepalive_changed();
    EXPECT_EQ(connection->timer_cpu, 1);
    run_on(3);
    send("lost");
    EXPECT_EQ(next().payload, "lost");
    EXPECT_EQ(connection->timer_cpu, 3);
    time_ns = armed_ns[3];
    fire(1);
    expect_none();
    fire(3);
    EXPECT_EQ(next().payload, "lost");
}

TEST_F(TcpCpus, OneCpuTakesTheTimersOfAllOver) {
    accept_connection();
    run_on(2);
    send("lost");
    EXPECT_EQ(next().payload, "lost");
    run_on(1);
    stack.take_over_timers();
    EXPECT_EQ(connection->timer_cpu, 1);
    EXPECT_EQ(armed_ns[1], armed_ns[2]);
    time_ns = armed_ns[1];
    fire(2);
    expect_none();
    fire(1);
    EXPECT_EQ(next().payload, "lost");
}

TEST_F(TcpCpus, CountersAreTheSumOfAll) {
    accept_connection();
    const uint64_t before = stack.total_counters().InSegs;
    for (unsigned cpu = 0; cpu < kCpus; cpu++) {
        test_cpu = cpu;
        inject({.sequence = 1 + 4 * cpu, .payload = "data"});
    }
    EXPECT_EQ(read(), "datadatadatadata");
    EXPECT_EQ(stack.total_counters().InSegs, before + kCpus);
    EXPECT_EQ(stack.counters().InSegs, 1u);  // of the last CPU
    // A gauge goes up on one CPU and down on another.
    EXPECT_EQ(stack.total_counters().CurrEstab, 1u);
    inject({.flags = kRst, .sequence = 17});
    EXPECT_EQ(stack.total_counters().CurrEstab, 0u);
}

class AcceptQueues : public TcpCpus {
  protected:
    void arrive(unsigned cpu, uint16_t port) {
        test_cpu = cpu;
        flow.remote.port = port;
        inject({.flags = kSyn, .sequence = 0});
        EXPECT_EQ(next().flags, kSyn | kAck);
        inject({});
    }
    // The port of the next one; 0: none waits.
    uint16_t accept_on(unsigned cpu) {
        test_cpu = cpu;
        RefPtr<Connection> accepted = listener->accept();
        if (!accepted) return 0;
        const uint16_t port = accepted->key.remote.port;
        accepted->close(true);
        sent_.clear();
        return port;
    }
};

TEST_F(AcceptQueues, OwnConnectionsComeFirstAndInOrder) {
    listen();
    arrive(0, 6000);
    arrive(2, 6001);
    arrive(2, 6002);
    arrive(1, 6003);
    EXPECT_EQ(listener->accept_queue_length(), 4u);
    EXPECT_EQ(accept_on(1), 6003);
    EXPECT_EQ(accept_on(2), 6001);
    EXPECT_EQ(accept_on(2), 6002);
    EXPECT_EQ(listener->accept_queue_length(), 1u);
    EXPECT_TRUE(listener->has_connection());
    EXPECT_EQ(accept_on(2), 6000);
    EXPECT_FALSE(listener->has_connection());
    EXPECT_EQ(accept_on(2), 0);
}

TEST_F(AcceptQueues, CpuWithoutItsOwnTakesOfTheLongest) {
    listen();
    arrive(0, 6000);
    arrive(1, 6001);
    arrive(1, 6002);
    EXPECT_EQ(accept_on(3), 6001);
}

TEST_F(AcceptQueues, BacklogIsThatOfAllTogether) {
    listen(1);
    arrive(0, 6000);
    arrive(1, 6001);
    test_cpu = 2;
    flow.remote.port = 6002;
    inject({.flags = kSyn, .sequence = 0});
    expect_none();
    EXPECT_EQ(listener->accept_queue_length(), 2u);
    EXPECT_EQ(stack.total_counters().ListenOverflows, 1u);
}

TEST_F(AcceptQueues, NoneWaitsForEverBehindABusyCpu) {
    listen(64);
    arrive(1, 5999);
    bool was_accepted = false;
    for (uint16_t port = 6000; port < 6040 && !was_accepted; port++) {
        arrive(0, port);
        was_accepted = accept_on(0) == 5999;
    }
    EXPECT_TRUE(was_accepted);
}

TEST_F(AcceptQueues, ClosingTheListenerResetsThoseOfAllCpus) {
    listen();
    arrive(0, 6000);
    arrive(2, 6001);
    test_cpu = 1;
    stack.stop_listening(*listener);
    EXPECT_EQ(next().flags & kRst, kRst);
    EXPECT_EQ(next().flags & kRst, kRst);
    EXPECT_EQ(stack.flow_count(), 0u);
}

}  // namespace
}  // namespace coracle::net::tcp
