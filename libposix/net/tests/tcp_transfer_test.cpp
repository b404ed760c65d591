// Two stacks and a bad wire: every byte arrives, at the pace that the wire allows.
#include <gtest/gtest.h>

#include "libposix/net/tests/tcp_world.h"

namespace coracle::net::tcp {
namespace {

struct Scenario {
    const char* name;
    WireSettings wire;
    uint64_t bytes;
    double least_share = 0;  // of the wire's rate, the mean over the seeds
    bool offload = false;    // super-segments
    bool sack = true;
    bool timestamps = true;
    bool reno = false;
    uint64_t seeds = 2;
};

class TransferTest : public testing::TestWithParam<Scenario> {
  protected:
    ~TransferTest() override { drain_buffer_pools(); }
};

TEST_P(TransferTest, EveryByteArrives) {
    const Scenario& scenario = GetParam();
    double total_share = 0;
    for (uint64_t seed = 1; seed <= scenario.seeds; seed++) {
        World world(seed, scenario.wire);
        for (Host* host : {&world.client, &world.server}) {
            if (scenario.offload) host->properties.largest_segment = 65000;
            host->stack.settings.sack = scenario.sack;
            host->stack.settings.timestamps = scenario.timestamps;
        }
        ConnectionOptions options;
        if (scenario.reno) options.congestion = &kReno;
        Pair pair(world, options, options);
        ASSERT_TRUE(pair.is_connected());
        pair.client.to_send = scenario.bytes;
        pair.server.to_send = scenario.bytes / 16;
        pair.client.close_when_sent = pair.server.close_when_sent = true;
        uint64_t start = world.now_ns;
        ASSERT_TRUE(
            pair.run_until([&] { return pair.server.received == scenario.bytes; }, 600 * kSecond))
            << "seed " << seed << ": " << pair.server.received << " of " << scenario.bytes
            << ", error " << pair.client.connection->error_code;
        uint64_t elapsed = world.now_ns - start;
        EXPECT_TRUE(pair.run_until([&] { return pair.client.saw_end && pair.server.saw_end; },
                                   600 * kSecond));
        world.run_for(30 * kSecond);
        EXPECT_EQ(pair.client.received, scenario.bytes / 16);
        EXPECT_FALSE(pair.client.mismatch || pair.server.mismatch);
        EXPECT_EQ(pair.client.connection->packets_out, 0u);
        EXPECT_EQ(pair.client.connection->sacked_out, 0u);
        EXPECT_EQ(pair.client.connection->lost_out, 0u);
        EXPECT_EQ(pair.client.connection->retransmitted_out, 0u);
        EXPECT_EQ(pair.client.connection->send_memory, 0u);
        EXPECT_EQ(pair.server.connection->receive_memory, 0u);
        double rate = static_cast<double>(scenario.bytes) * 1e9 / static_cast<double>(elapsed);
        const Counters counters = world.client.stack.total_counters();
        if (scenario.wire.bytes_per_second) {
            double share = rate / static_cast<double>(scenario.wire.bytes_per_second);
            total_share += share;
            printf("[ seed %lu  ] %.1f MB/s, share %.3f, %lu lost, %lu sent again, %lu timeouts\n",
                   seed, rate / 1e6, share, world.packets_lost, counters.RetransSegs,
                   counters.TCPTimeouts);
        } else {
            printf("[ seed %lu  ] %.1f MB/s, %lu lost, %lu sent again, %lu timeouts\n", seed,
                   rate / 1e6, world.packets_lost, counters.RetransSegs, counters.TCPTimeouts);
        }
    }
    EXPECT_GE(total_share / static_cast<double>(scenario.seeds), scenario.least_share);
}

WireSettings wire(uint64_t delay_ms, double loss = 0, uint32_t mtu = 1500) {
    WireSettings settings;
    settings.delay_ns = delay_ms * kMillisecond;
    settings.loss = loss;
    settings.mtu = mtu;
    return settings;
}
WireSettings limited(uint64_t delay_ms, uint64_t megabits, uint64_t queue_kib = 256,
                     double loss = 0) {
    WireSettings settings = wire(delay_ms, loss);
    settings.bytes_per_second = megabits * 125'000;
    settings.queue_bytes = queue_kib * 1024;
    return settings;
}
WireSettings bunched(WireSettings settings, uint64_t bunch_ms) {
    settings.bunch_ns = bunch_ms * kMillisecond;
    return settings;
}
WireSettings reordered(double share) {
    WireSettings settings = limited(5, 100);
    settings.reordering = share;
    return settings;
}
WireSettings duplicated() {
    WireSettings settings = wire(1, 0.01);
    settings.duplication = 0.05;
    return settings;
}
WireSettings corrupted() {
    WireSettings settings = wire(1);
    settings.corruption = 0.02;
    return settings;
}
WireSettings everything() {
    WireSettings settings = limited(20, 50, 128, 0.02);
    settings.duplication = 0.02;
    settings.corruption = 0.01;
    settings.reordering = 0.05;
    return settings;
}

constexpr uint64_t kMiB = 1 << 20;
INSTANTIATE_TEST_SUITE_P(
    Wires, TransferTest,
    testing::Values(
        Scenario{"Clean", wire(1), 6 * kMiB}, Scenario{"CleanOffload", wire(1), 6 * kMiB, 0, true},
        Scenario{"Rate100Mbit", limited(5, 100), 12 * kMiB, 0.85},
        Scenario{"Rate100MbitOffload", limited(5, 100), 12 * kMiB, 0.85, true},
        Scenario{"Rate1GbitFar", limited(25, 1000, 4096), 48 * kMiB, 0.25, true},
        Scenario{"SmallQueue", limited(10, 50, 64), 12 * kMiB, 0.75},
        Scenario{"SmallQueueBunched", bunched(limited(10, 50, 48), 2), 12 * kMiB, 0.8, true},
        Scenario{"Reno", limited(10, 50, 64), 12 * kMiB, 0.6, false, true, true, true},
        // Reno's mean window is 1.22 / sqrt(loss) packets, 0.46 of this wire; one
        // transfer of nine losses may be far from the mean.
        Scenario{"Loss0_1", limited(5, 100, 256, 0.001), 12 * kMiB, 0.54, false, true, true, false,
                 8},
        Scenario{"Loss1", limited(1, 100, 256, 0.01), 6 * kMiB, 0.47, false, true, true, false, 8},
        Scenario{"Loss5", wire(1, 0.05), 4 * kMiB}, Scenario{"Loss20", wire(1, 0.2), kMiB / 2},
        Scenario{"LossOffload", wire(1, 0.02), 8 * kMiB, 0, true},
        Scenario{"LossNoSack", wire(1, 0.01), 4 * kMiB, 0, false, false},
        Scenario{"LossNoTimestamps", wire(1, 0.02), 4 * kMiB, 0, false, true, false},
        Scenario{"LossPlain", wire(1, 0.02), 2 * kMiB, 0, false, false, false},
        Scenario{"Delay200", limited(100, 20, 512), 6 * kMiB, 0.5},
        Scenario{"Mtu576", wire(1, 0.01, 576), 2 * kMiB},
        Scenario{"Mtu9000", wire(1, 0.01, 9000), 6 * kMiB, 0, true},
        Scenario{"Reordered10", reordered(0.1), 6 * kMiB, 0.5},
        Scenario{"Reordered50", reordered(0.5), 6 * kMiB, 0.3},
        Scenario{"Duplicated", duplicated(), 4 * kMiB},
        Scenario{"Corrupted", corrupted(), 4 * kMiB},
        Scenario{"Everything", everything(), 4 * kMiB},
        Scenario{"EverythingOffload", everything(), 4 * kMiB, 0, true}),
    [](const auto& info) { return info.param.name; });

// SO_MAX_PACING_RATE: no faster than asked, and nearly as fast.
TEST(Pacing, KeepsTheRate) {
    {
        World world(1, wire(5));
        world.client.properties.largest_segment = 65000;
        ConnectionOptions options;
        options.max_pacing_rate = 2'000'000;
        Pair pair(world, options);
        ASSERT_TRUE(pair.is_connected());
        pair.client.to_send = 4'000'000;
        uint64_t start = world.now_ns;
        ASSERT_TRUE(
            pair.run_until([&] { return pair.server.received == 4'000'000; }, 60 * kSecond));
        EXPECT_GE(world.now_ns - start, 1950 * kMillisecond);
        EXPECT_LE(world.now_ns - start, 2100 * kMillisecond);
        EXPECT_EQ(world.client.stack.total_counters().RetransSegs, 0u);
    }
    drain_buffer_pools();
}

size_t memory_in_use() {
    BufferStatistics statistics = buffer_statistics();
    size_t bytes = 0;
    for (size_t i = 0; i < kBufferClasses; i++)
        bytes += statistics.in_use[i] * kBufferBlockSizes[i];
    return bytes;
}

// Forty senders, and receivers that do not read for long: what lies in buffers stays near the limit
// (tcp_mem of ip-sysctl.rst), and in the end every byte has arrived.
TEST(Memory, IsBoundedUnderManyConnections) {
    constexpr size_t kLimit = 4 * kMiB, kPairs = 40, kBytes = 512 * 1024;
    {
        World world(1, wire(1));
        std::vector<std::unique_ptr<Pair>> pairs;
        for (size_t i = 0; i < kPairs; i++) {
            pairs.push_back(std::make_unique<Pair>(world, ConnectionOptions{}, ConnectionOptions{},
                                                   static_cast<uint16_t>(80 + i)));
            ASSERT_TRUE(pairs[i]->is_connected());
            pairs[i]->client.to_send = kBytes;
            pairs[i]->server.read_limit = 0;
        }
        drain_buffer_pools();
        buffer_memory.limit = kLimit;
        size_t most = 0;
        auto work_until = [&](auto done, uint64_t limit_ns) {
            return world.run_until(
                [&] {
                    for (auto& pair : pairs) pair->work();
                    most = std::max(most, memory_in_use());
                    return done();
                },
                limit_ns);
        };
        work_until([] { return false; }, 2 * kSecond);
        EXPECT_GT(most, kLimit / 2);
        // Each connection may keep a block at either end, whatever the limit.
        EXPECT_LT(most, kLimit + kPairs * 2 * 64 * 1024);
        for (auto& pair : pairs) pair->server.read_limit = UINT64_MAX;
        EXPECT_TRUE(work_until(
            [&] {
                return std::all_of(pairs.begin(), pairs.end(), [](const auto& pair) {
                    return pair->server.received == kBytes;
                });
            },
            600 * kSecond));
        for (auto& pair : pairs) EXPECT_FALSE(pair->server.mismatch);
        buffer_memory.limit = SIZE_MAX;
    }
    drain_buffer_pools();
}

// RFC 7413: requests in SYNs, and answers before the handshake's end.
TEST(FastOpenTransfer, EveryByteArrivesOnce) {
    WireSettings bad = wire(5, 0.1);
    bad.duplication = bad.reordering = 0.1;
    World world(7, bad);
    Stack& client_stack = world.client.stack;
    Stack& server_stack = world.server.stack;
    server_stack.settings.fast_open = kFastOpenServer;
    RefPtr<Listener> listener =
        server_stack.listen({world.server.address, 80, 0}, {}, 16).release_value();
    listener->set_fast_open_limit(8);
    for (uint16_t i = 0; i < 100; i++) {
        const std::string request = std::to_string(i) + std::string(i * 25u, 'x');
        const std::string answer = "answer to " + request;
        Application client(world.client), server(world.server);
        FlowKey flow{{world.client.address, static_cast<uint16_t>(40000 + i), 0},
                     {world.server.address, 80, 0}};
        client_stack.set_now(world.now_ns);
        client.attach(
            client_stack.connect(flow, {}, &client, FastOpen::kWithCookie).release_value());
        bool is_asked = client.connection->waits_for_data();
        if (is_asked) client.connection->send_with_syn(make_data(request));
        std::string asked, answered;
        EXPECT_TRUE(world.run_until(
            [&] {
                if (!is_asked && client.connection->is_synchronized()) {
                    client.send_text(request);
                    is_asked = true;
                }
                if (RefPtr<Connection> accepted = listener->accept()) server.attach(accepted);
                if (server.connection && !server.connection->send_shut) {
                    asked += server.read_text();
                    if (asked.size() >= request.size()) {
                        server.send_text(answer);
                        server.connection->shutdown_send();
                    }
                }
                answered += client.read_text();
                return client.connection->has_end_of_file();
            },
            200 * kSecond))
            << i;
        EXPECT_EQ(asked, request);
        EXPECT_EQ(answered, answer);
        client.connection->close(false);
        world.run_for(10 * kSecond);
        EXPECT_EQ(server.connection->state, State::kClosed);
        server.connection->close(false);
    }
    const Counters opened = client_stack.total_counters(), passive = server_stack.total_counters();
    EXPECT_GT(opened.TCPFastOpenActive, 50u);
    EXPECT_GT(opened.TCPFastOpenActiveFail, 0u);
    EXPECT_GE(passive.TCPFastOpenPassive, opened.TCPFastOpenActive);
    server_stack.stop_listening(*listener);
}

}  // namespace
}  // namespace coracle::net::tcp
