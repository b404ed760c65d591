// Loss and its repair: RFC 6298, RFC 5681, RFC 6582, RFC 2018, RFC 2883, RFC 6675, RFC 8985,
// RFC 7323, RFC 3168, RFC 6928, RFC 9438.
#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {
namespace {

class Recovery : public Script {
  protected:
    // `count` full segments are in flight, numbered from 0; what was sent is forgotten.
    void fill(int count, uint32_t size = 1448) {
        send(std::string(static_cast<size_t>(count) * size, 'x'));
        while (!next().is_none) continue;
        size_ = size;
    }
    uint32_t at(int segment) const { return 1 + static_cast<uint32_t>(segment) * size_; }
    void ack(int segment, std::vector<std::pair<int, int>> sacked = {}) {
        Injected in{.acknowledgement = at(segment), .window = 1000};
        for (auto [start, end] : sacked) in.sack.push_back({at(start), at(end)});
        inject(in);
    }
    uint32_t size_ = 1448;
};

// RFC 6928.
TEST_F(Recovery, Rfc6928InitialWindowIsTenSegments) {
    accept_connection();
    send(std::string(30 * 1448, 'x'));
    for (int i = 0; i < 10; i++) EXPECT_EQ(next().length, 1448u) << i;
    expect_none();
}

// RFC 5681, 3.1.
TEST_F(Recovery, Rfc5681SlowStartDoubles) {
    accept_connection();
    send(std::string(60 * 1448, 'x'));
    for (int i = 0; i < 10; i++) next();
    ack(10);
    EXPECT_EQ(connection->congestion.window, 20u);
    for (int i = 0; i < 20; i++) EXPECT_FALSE(next().is_none) << i;
    expect_none();
}

// RFC 6298, 2.4 and 5.5: at least a second there, 200 ms here; doubled each time.
TEST_F(Recovery, Rfc6298TimeoutBacksOff) {
    accept_connection(true, false);
    fill(1);
    uint64_t timeout = connection->rtt.timeout_ns();
    EXPECT_GE(timeout, 200 * kMillisecond);
    EXPECT_LE(timeout, 300 * kMillisecond);
    for (int i = 0; i < 5; i++) {
        advance(timeout - kMillisecond);
        expect_none();
        advance(kMillisecond);
        EXPECT_EQ(next().sequence, 1u) << i;
        timeout *= 2;
    }
    EXPECT_EQ(connection->congestion.window, 1u);
    EXPECT_EQ(connection->phase, CongestionPhase::kLoss);
    ack(1);
    EXPECT_EQ(connection->packets_out, 0u);
}

// Linux's tcp_thin_linear_timeouts: six without doubling.
TEST_F(Recovery, ThinStreamsBackOffLate) {
    accept_connection(true, false);
    connection->options.thin_linear_timeouts = true;
    fill(1);
    uint64_t timeout = connection->rtt.timeout_ns();
    for (int i = 0; i < 9; i++) {
        advance(timeout - kMillisecond);
        expect_none();
        advance(kMillisecond);
        EXPECT_EQ(next().sequence, 1u) << i;
        if (i >= 6) timeout *= 2;
    }
}

// RFC 6298, 3: Karn's rule, without timestamps.
TEST_F(Recovery, Rfc6298NoSampleFromWhatWasSentTwice) {
    accept_connection(false, false);
    uint64_t before = connection->rtt.smoothed_ns();
    fill(1);
    advance(400 * kMillisecond);
    EXPECT_FALSE(next().is_none);
    ack(1);
    EXPECT_EQ(connection->rtt.smoothed_ns(), before);
}

// RFC 5681, 3.2 and RFC 6582, without SACK.
TEST_F(Recovery, Rfc6582ThreeDuplicatesAndPartialAcks) {
    accept_connection(true, false);
    fill(10);
    for (int i = 0; i < 2; i++) ack(0);
    expect_none();
    ack(0);
    EXPECT_EQ(next().sequence, 1u);
    EXPECT_EQ(connection->phase, CongestionPhase::kRecovery);
    for (int i = 0; i < 4; i++) ack(0);
    // Segment 5 is lost, too: the acknowledgement is partial.
    advance(20 * kMillisecond);
    ack(5);
    EXPECT_EQ(next().sequence, at(5));
    ack(10);
    EXPECT_EQ(connection->phase, CongestionPhase::kOpen);
    EXPECT_EQ(connection->congestion.window, 7u);  // 0.7 of 10
}

// RFC 2018 and RFC 6675: holes are repaired, what arrived is not sent again.
TEST_F(Recovery, Rfc6675HolesAreRepaired) {
    accept_connection();
    fill(10);
    advance(20 * kMillisecond);
    ack(1, {{2, 3}});
    ack(1, {{2, 4}});
    expect_none();
    ack(1, {{2, 5}});
    EXPECT_EQ(next().sequence, at(1));
    ack(1, {{6, 7}, {2, 5}});
    ack(1, {{6, 8}, {2, 5}});
    ack(1, {{6, 9}, {2, 5}});
    std::vector<uint32_t> again;
    for (Sent sent = next(); !sent.is_none; sent = next()) again.push_back(sent.sequence);
    EXPECT_EQ(again, std::vector<uint32_t>{at(5)});
    EXPECT_EQ(stack.total_counters().TCPSackRecovery, 1u);
    ack(10);
    EXPECT_EQ(connection->phase, CongestionPhase::kOpen);
    EXPECT_EQ(connection->packets_out + connection->sacked_out + connection->lost_out, 0u);
}

TEST_F(Recovery, Rfc2018SackOfAPartSplits) {
    accept_connection();
    properties.largest_segment = 65000;
    connection->refresh_path();
    send(std::string(10 * 1448, 'x'));
    sent_.clear();
    ack(0, {{5, 10}});
    // RACK: all five before it were sent at the same time.
    uint32_t bytes = 0;
    for (Sent sent = next(); !sent.is_none; sent = next()) bytes += sent.length;
    EXPECT_GT(bytes, 0u);
    EXPECT_LE(bytes, 5u * 1448);
    ack(10);
    EXPECT_EQ(connection->packets_out + connection->sacked_out + connection->lost_out, 0u);
}

TEST_F(Recovery, Rfc2018NonsenseBlocksAreDiscarded) {
    accept_connection();
    fill(4);
    Injected in{.window = 1000};
    in.sack = {{at(3), at(2)}, {at(20), at(30)}, {at(2), at(3)}};
    inject(in);
    EXPECT_GE(stack.total_counters().TCPSACKDiscard, 2u);
    EXPECT_EQ(connection->sacked_out, 1u);
}

// RFC 8985, 6: reordering within a quarter of the round trip is no loss.
TEST_F(Recovery, Rfc8985WaitsForReordering) {
    accept_connection();
    fill(3);
    advance(20 * kMillisecond);
    ack(0, {{1, 2}});
    expect_none();
    ack(3);  // it was only late
    EXPECT_EQ(stack.total_counters().RetransSegs, 0u);
    EXPECT_EQ(connection->phase, CongestionPhase::kOpen);
    EXPECT_TRUE(connection->reordering_seen);
}

TEST_F(Recovery, Rfc8985TimerMarksTheLoss) {
    accept_connection();
    fill(3);
    advance(20 * kMillisecond);
    ack(0, {{1, 2}});
    expect_none();
    advance(8 * kMillisecond);
    EXPECT_EQ(next().sequence, at(0));
}

// RFC 8985, 7: the tail is probed before the timeout.
TEST_F(Recovery, Rfc8985TailLossProbe) {
    accept_connection();
    fill(4);
    advance(20 * kMillisecond);
    ack(1);
    advance(100 * kMillisecond);
    Sent probe = next();
    EXPECT_EQ(probe.sequence, at(3));
    EXPECT_EQ(stack.total_counters().TCPLossProbes, 1u);
    EXPECT_EQ(stack.total_counters().TCPTimeouts, 0u);
    // Its acknowledgement tells of the others, and they are repaired without a timeout.
    advance(20 * kMillisecond);
    ack(1, {{3, 4}});
    advance(30 * kMillisecond);
    EXPECT_EQ(next().sequence, at(1));
    EXPECT_EQ(stack.total_counters().TCPTimeouts, 0u);
}

// RFC 3522 and RFC 7323: an acknowledgement of the first transmission undoes the reduction.
TEST_F(Recovery, Rfc3522SpuriousTimeoutIsUndone) {
    accept_connection(true, false);
    fill(4);
    uint32_t stamp = last_timestamp;
    uint32_t before = connection->congestion.window;
    advance(400 * kMillisecond);
    EXPECT_EQ(next().sequence, at(0));
    EXPECT_EQ(connection->congestion.window, 1u);
    inject({.acknowledgement = at(4), .window = 1000, .timestamp_echo = stamp});
    EXPECT_EQ(connection->congestion.window, before);
    EXPECT_EQ(stack.total_counters().TCPSpuriousRTOs, 1u);
}

// RFC 2883: a duplicate is told.
TEST_F(Recovery, Rfc2883DuplicatesAreReported) {
    accept_connection();
    inject({.payload = "hello"});
    sent_.clear();
    inject({.payload = "hello"});
    Sent ack = next();
    ASSERT_EQ(ack.options.sack_count, 1);
    EXPECT_EQ(ack.options.sack[0].start.value(), kPeerInitial + 1);
    EXPECT_EQ(ack.options.sack[0].end.value(), kPeerInitial + 6);
}

TEST_F(Recovery, Rfc2018NewestBlockComesFirst) {
    accept_connection();
    inject({.sequence = 101, .payload = "a"});
    inject({.sequence = 201, .payload = "b"});
    inject({.sequence = 301, .payload = "c"});
    sent_.clear();
    inject({.sequence = 202, .payload = "b"});
    Sent ack = next();
    ASSERT_EQ(ack.options.sack_count, 3);
    EXPECT_EQ(ack.options.sack[0].start.value(), kPeerInitial + 201);
    EXPECT_EQ(ack.options.sack[0].end.value(), kPeerInitial + 203);
    EXPECT_EQ(ack.options.sack[1].start.value(), kPeerInitial + 301);
}

// RFC 7323, 5: PAWS.
TEST_F(Recovery, Rfc7323OldTimestampsAreRefused) {
    accept_connection();
    inject({.payload = "new"});
    sent_.clear();
    inject({.sequence = 4, .payload = "old", .timestamp = peer_timestamp - 100});
    EXPECT_EQ(next().acknowledgement, 4u);
    EXPECT_EQ(read(), "new");
    EXPECT_EQ(stack.total_counters().PAWSEstab, 1u);
}

// RFC 7323, 4.3: the echo is of the earliest segment that is not acknowledged.
TEST_F(Recovery, Rfc7323EchoesTheOldestTimestamp) {
    accept_connection();
    connection->quick_acks = 0;
    connection->ping_pong = true;
    uint32_t first = peer_timestamp;
    inject({.payload = "1"});
    advance(5 * kMillisecond);
    inject({.sequence = 2, .payload = "2"});
    send("answer");
    EXPECT_EQ(next().options.timestamp_echo, first);
}

// RFC 3168.
TEST_F(Recovery, Rfc3168EchoesCongestion) {
    stack.settings.ecn = 2;
    listen();
    inject({.flags = kSyn | kEce | kCwr,
            .sequence = 0,
            .maximum_segment = 1460,
            .sack_permitted = true});
    EXPECT_EQ(next().flags, kSyn | kAck | kEce);
    inject({});
    connection = listener->accept();
    ASSERT_TRUE(connection);
    connection->observer = &observer;
    inject({.payload = "marked", .traffic_class = 3});
    EXPECT_TRUE(next().flags & kEce);
    inject({.sequence = 7, .payload = "more"});
    EXPECT_TRUE(next().flags & kEce);
    inject({.flags = kAck | kCwr, .sequence = 11, .payload = "less"});
    EXPECT_FALSE(next().flags & kEce);
    // Our data is marked as capable, and the peer's echo reduces the window.
    send(std::string(4 * 1448, 'x'));
    EXPECT_EQ(next().traffic_class & 3, 2);
    sent_.clear();
    inject({.flags = kAck | kEce, .sequence = 15, .acknowledgement = 1449});
    EXPECT_EQ(connection->phase, CongestionPhase::kReduced);
    EXPECT_EQ(connection->congestion.slow_start_threshold, 7u);
    send("next");
    EXPECT_TRUE(next().flags & kCwr);
}

// RFC 1191 and RFC 5927.
TEST_F(Recovery, Rfc1191SmallerPathIsObeyed) {
    accept_connection();
    fill(2);
    properties.mtu = 1000;
    stack.icmp_error(flow, our_initial + 1, EMSGSIZE, false, 1000);
    Sent again = next();
    EXPECT_EQ(again.sequence, 1u);
    EXPECT_EQ(again.length, 948u);
    stack.icmp_error(flow, our_initial + 50'000'000, EMSGSIZE, false, 600);
    EXPECT_EQ(stack.total_counters().OutOfWindowIcmps, 1u);
    EXPECT_EQ(connection->path_mtu, 1000u);
}

// RFC 5681, 4.1.
TEST_F(Recovery, Rfc5681WindowDecaysWhenIdle) {
    accept_connection();
    for (int round = 0, base = 0; round < 3; round++) {
        int count = 10 << round;
        send(std::string(static_cast<size_t>(count) * 1448, 'x'));
        sent_.clear();
        base += count;
        ack(base);
    }
    EXPECT_GT(connection->congestion.window, 40u);
    advance(30 * kSecond);
    send("again");
    EXPECT_EQ(connection->congestion.window, 10u);
}

// RFC 9438, 4.10: slow start ends when a window's acknowledgements, with no gap in between, have
// come for half of a round trip; for the next window would fill more than the path.
TEST_F(Recovery, Rfc9438SlowStartEndsWithALongTrain) {
    for (uint64_t gap : {kMillisecond, 3 * kMillisecond}) {
        accept_connection();
        connection->rtt = {};
        send(std::string(100 * 1448, 'x'));
        advance(20 * kMillisecond);
        ack(10);
        advance(20 * kMillisecond);
        for (int i = 11; i <= 21; i++) {
            ack(i);
            EXPECT_TRUE(connection->congestion.in_slow_start()) << i;
            advance(gap);
        }
        ack(22);
        EXPECT_EQ(connection->congestion.in_slow_start(), gap > 2 * kMillisecond);
        connection->abort(0);
        sent_.clear();
    }
}

// RFC 8985, 6.2, step 4: a duplicate that was sent for nothing widens the reordering window, and
// sixteen recoveries without one narrow it again.
TEST_F(Recovery, Rfc8985ReorderingWindowAdapts) {
    accept_connection();
    connection->rtt = {};
    int base = 0;
    auto lose_one = [&](bool needlessly) {
        connection->congestion = {};
        send(std::string(10 * 1448, 'x'));
        advance(20 * kMillisecond);
        ack(base, {{base + 1, base + 10}});
        // The timer has it sent again, whatever the window of reordering.
        advance(19 * kMillisecond);
        EXPECT_EQ(connection->phase, CongestionPhase::kRecovery);
        base += 10;
        if (needlessly) {
            ack(base, {{base - 10, base - 9}});
        } else {
            ack(base);
        }
        EXPECT_EQ(connection->phase, CongestionPhase::kOpen);
        sent_.clear();
    };
    lose_one(true);
    EXPECT_EQ(connection->rack_window_steps, 2u);
    lose_one(true);
    EXPECT_EQ(connection->rack_window_steps, 3u);
    for (int i = 0; i < 15; i++) lose_one(false);
    EXPECT_EQ(connection->rack_window_steps, 3u);
    lose_one(false);
    EXPECT_EQ(connection->rack_window_steps, 1u);
}

// An acknowledgement of a whole window sends a few packets at once, and the others at the pace of
// one and a half windows in a round trip.
TEST_F(Recovery, WindowIsPacedAfterSlowStart) {
    accept_connection();
    connection->rtt = {};
    send(std::string(200 * 1448, 'x'));
    sent_.clear();
    advance(20 * kMillisecond);
    connection->congestion.slow_start_threshold = 5;
    connection->congestion.window = 60;
    ack(10);
    EXPECT_GE(sent_.size(), 16u);
    EXPECT_LE(sent_.size(), 24u);
    advance(5 * kMillisecond);
    EXPECT_LT(sent_.size(), 50u);
    advance(10 * kMillisecond);
    EXPECT_EQ(sent_.size(), connection->congestion.window);
    sent_.clear();
}

// RFC 2018, 8: what was acknowledged selectively is kept while there is memory, though its blocks
// take more than the window's bytes; and the data that closes the hole finds room.
TEST_F(Recovery, Rfc2018ReceiverKeepsWhatItHasAcknowledged) {
    accept_connection();
    const std::string payload(600, 'o');
    uint32_t last = 0;
    for (uint32_t i = 1; connection->receive_memory <= 131072; i++) {
        inject({.sequence = last = 1 + i * 600, .payload = payload});
    }
    inject({.payload = payload});
    EXPECT_EQ(connection->receive_next - connection->initial_receive_sequence,
              static_cast<int32_t>(last + 600));
    EXPECT_EQ(stack.total_counters().PruneCalled, 0u);
    sent_.clear();
}

// With a buffer that may not grow the latest goes first.
TEST_F(Recovery, Rfc2018ReceiverLetsGoOfTheLatest) {
    accept_connection();
    connection->set_receive_buffer(16384);
    const std::string payload(600, 'o');
    for (uint32_t i = 1; i < 60; i++) inject({.sequence = 1 + i * 600, .payload = payload});
    EXPECT_LE(connection->receive_memory, 2u * 16384);
    uint32_t kept = connection->sack_blocks[0].end - connection->initial_receive_sequence;
    sent_.clear();
    inject({.payload = payload});
    EXPECT_EQ(stack.total_counters().OfoPruned, 1u);
    uint32_t acknowledged = next().acknowledgement;
    EXPECT_LT(acknowledged, kept);
    EXPECT_GE(acknowledged, kept - 4 * 600);
    EXPECT_EQ(connection->sack_block_count, 0);
}

// The bounds of memory: out-of-order data gives way.
TEST_F(Recovery, OutOfOrderMemoryIsBounded) {
    accept_connection();
    for (uint32_t i = 0; i < 2000; i++) {
        inject({.sequence = 3 + 30 * i, .payload = std::string(20, 'o')});
    }
    EXPECT_LE(connection->receive_memory, 2 * connection->receive_limit);
    sent_.clear();
}

}  // namespace
}  // namespace coracle::net::tcp
