// RFC 9293, 3.8: windows, timers and urgent data; with RFC 1122's rules, and crowds.
#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {
namespace {

using Rfc9293Flow = Script;

// 3.8.6.1: zero-window probes.
TEST_F(Rfc9293Flow, ZeroWindowIsProbed) {
    accept_connection();
    inject({.window = 0});
    send("blocked");
    expect_none();
    advance(300 * kMillisecond);
    Sent probe = next();
    EXPECT_FALSE(probe.is_none);
    EXPECT_EQ(probe.length, 0u);
    EXPECT_EQ(probe.sequence, 0u);  // before what is acknowledged
    EXPECT_EQ(stack.total_counters().TCPWinProbe, 1u);
    inject({.window = 100});
    EXPECT_EQ(next().payload, "blocked");
}

TEST_F(Rfc9293Flow, WindowThatOpensSends) {
    accept_connection();
    inject({.window = 0});
    send("blocked");
    inject({.window = 100});
    EXPECT_EQ(next().payload, "blocked");
}

// 3.8.6.2: silly windows.
TEST_F(Rfc9293Flow, SenderAvoidsSillyWindows) {
    accept_connection();
    inject({.window = 20});  // scaled by 128: 2,560 bytes
    send(std::string(10000, 'x'));
    Sent first = next();
    EXPECT_GE(first.length, 1000u);
    Sent second = next();
    EXPECT_TRUE(second.is_none || second.length >= 1000u) << second;
}

TEST_F(Rfc9293Flow, ReceiverClosesAndOpensItsWindow) {
    accept_connection();
    uint32_t sequence = 1;
    uint32_t window = 0;
    for (int i = 0; i < 200; i++) {
        inject({.sequence = sequence, .payload = std::string(1448, 'd')});
        sequence += 1448;
        while (!sent_.empty()) {
            Sent ack = next();
            window = ack.window << connection->receive_scale;
            if (ack.acknowledgement < sequence) window = 0;
        }
        if (window < 1448) break;
    }
    EXPECT_LT(window, 1448u);
    EXPECT_GT(read().size(), 30000u);
    Sent update = next();
    EXPECT_EQ(update.flags, kAck);
    EXPECT_GT(update.window << connection->receive_scale, 30000u);
}

// 3.8.4: keep-alive.
TEST_F(Rfc9293Flow, KeepAliveProbesAndGivesUp) {
    accept_connection();
    connection->options.keep_alive = true;
    connection->options.keepalive_idle_s = 10;
    connection->options.keepalive_interval_s = 5;
    connection->options.keepalive_count = 3;
    connection->keepalive_changed();
    advance(9 * kSecond);
    expect_none();
    advance(2 * kSecond);
    Sent probe = next();
    EXPECT_EQ(probe.flags, kAck);
    EXPECT_EQ(probe.sequence, 0u);
    inject({});
    advance(9 * kSecond);
    expect_none();
    advance(12 * kSecond);
    EXPECT_EQ(stack.total_counters().TCPKeepAlive, 4u);
    advance(10 * kSecond);
    EXPECT_EQ(connection->error_code, ETIMEDOUT);
}

// 3.8.5 and RFC 6093: urgent data.
TEST_F(Rfc9293Flow, UrgentDataOut) {
    accept_connection();
    send("ab!", kSendUrgent);
    Sent urgent = next();
    EXPECT_TRUE(urgent.flags & kUrg);
    EXPECT_EQ(urgent.urgent_pointer, 3);
}

TEST_F(Rfc9293Flow, UrgentDataIn) {
    accept_connection();
    inject({.flags = kAck | kUrg, .payload = "ab!cd", .urgent_pointer = 3});
    EXPECT_TRUE(observer.events & kEventUrgent);
    ASSERT_TRUE(connection->has_urgent());
    EXPECT_EQ(connection->urgent_distance(), 2u);
    auto byte = connection->read_urgent(false);
    ASSERT_TRUE(byte.ok());
    EXPECT_EQ(byte.value(), '!');
    EXPECT_EQ(connection->read_urgent(false).error_code(), EINVAL);
}

// 3.8.3 with RFC 5482: the user timeout.
TEST_F(Rfc9293Flow, UserTimeout) {
    accept_connection();
    connection->options.user_timeout_ms = 5000;
    send("nobody answers");
    advance(3 * kSecond);
    EXPECT_EQ(connection->state, State::kEstablished);
    advance(7 * kSecond);
    EXPECT_EQ(connection->error_code, ETIMEDOUT);
}

// RFC 1122, 4.2.3.4: Nagle; and TCP_CORK.
TEST_F(Rfc9293Flow, NagleHoldsTheSecondSmallSegment) {
    accept_connection();
    connection->options.no_delay = false;
    send("one");
    EXPECT_EQ(next().payload, "one");
    send("two");
    send("three");
    expect_none();
    inject({.acknowledgement = 4});
    EXPECT_EQ(next().payload, "twothree");
}

TEST_F(Rfc9293Flow, CorkHoldsSmallSegments) {
    accept_connection();
    connection->options.cork = true;
    send("part");
    expect_none();
    send(std::string(3000, 'x'));
    EXPECT_EQ(next().length, 1448u);
    EXPECT_EQ(next().length, 1448u);
    expect_none();
    connection->options.cork = false;
    connection->options_changed();
    EXPECT_EQ(next().length, 108u);
}

// 3.8.6.3: delayed acknowledgements.
class Rfc9293DelayedAck : public Rfc9293Flow {
  protected:
    void SetUp() override {
        accept_connection();
        for (int i = 0; i < 20; i++) {
            inject({.sequence = sequence, .acknowledgement = ours, .payload = "ask"});
            sequence += 3;
            read();
            sent_.clear();
            send("answer");
            ours += 6;
            sent_.clear();
            advance(kMillisecond);
        }
    }
    uint32_t sequence = 1, ours = 1;
};

TEST_F(Rfc9293DelayedAck, OnceTheApplicationAnswers) {
    inject({.sequence = sequence, .acknowledgement = ours, .payload = "ask"});
    expect_none();
    send("answer");
    Sent answer = next();
    EXPECT_EQ(answer.acknowledgement, sequence + 3);
    expect_none();
    inject({.sequence = sequence + 3, .acknowledgement = ours + 6, .payload = "ask"});
    expect_none();
    advance(250 * kMillisecond);
    EXPECT_EQ(next().acknowledgement, sequence + 6);
}

TEST_F(Rfc9293DelayedAck, NotForAWhileAfterADuplicate) {
    inject({.sequence = sequence - 3, .acknowledgement = ours, .payload = "ask"});
    EXPECT_EQ(next().acknowledgement, sequence);
    for (int i = 0; i < 8; i++) {
        inject({.sequence = sequence, .acknowledgement = ours, .payload = "ask"});
        sequence += 3;
        EXPECT_EQ(next().acknowledgement, sequence);
    }
}

TEST_F(Rfc9293DelayedAck, NotForAWhileAfterAnOldDuplicate) {
    inject({.sequence = sequence - 9, .acknowledgement = ours, .payload = "ask"});
    EXPECT_EQ(next().acknowledgement, sequence);
    for (int i = 0; i < 8; i++) {
        inject({.sequence = sequence, .acknowledgement = ours, .payload = "ask"});
        sequence += 3;
        EXPECT_EQ(next().acknowledgement, sequence);
    }
}

// RFC 1122, 4.2.2.13 and RFC 6191: TIME-WAIT gives way to a newer SYN.
TEST_F(Rfc9293Flow, TimeWaitGivesWayToANewConnection) {
    accept_connection();
    connection->shutdown_send();
    sent_.clear();
    inject({.acknowledgement = 2});
    inject({.flags = kFin | kAck, .acknowledgement = 2});
    sent_.clear();
    ASSERT_EQ(stack.time_wait_count(), 1u);
    advance(2 * kSecond);
    inject({.flags = kSyn, .sequence = 10'000, .maximum_segment = 1460});
    EXPECT_EQ(next().flags, kSyn | kAck);
    EXPECT_EQ(stack.time_wait_count(), 0u);
}

// RFC 4987: floods.
TEST_F(Rfc9293Flow, SynFloodIsMetWithCookies) {
    listen(4);
    for (uint16_t port = 6000; port < 6100; port++) {
        flow.remote.port = port;
        inject({.flags = kSyn,
                .sequence = 0,
                .maximum_segment = 1460,
                .window_scale = 7,
                .sack_permitted = true});
        EXPECT_EQ(next().flags, kSyn | kAck);
    }
    EXPECT_EQ(listener->syn_queue_length(), 4u);
    EXPECT_EQ(stack.total_counters().SyncookiesSent, 96u);
    // The last of them was a good client.
    inject({});
    EXPECT_EQ(stack.total_counters().SyncookiesRecv, 1u);
    connection = listener->accept();
    ASSERT_TRUE(connection);
    connection->observer = &observer;
    EXPECT_TRUE(connection->sack_on);
    EXPECT_EQ(connection->send_scale, 7);
    EXPECT_EQ(connection->peer_segment, 1460u);
    inject({.payload = "service goes on"});
    EXPECT_EQ(read(), "service goes on");
    // A forged one.
    flow.remote.port = 7000;
    sent_.clear();
    inject({.acknowledgement = 12345});
    EXPECT_EQ(next().flags, kRst);
    EXPECT_EQ(stack.total_counters().SyncookiesFailed, 1u);
}

TEST_F(Rfc9293Flow, FullAcceptQueueDropsTheLastAck) {
    listen(1);
    for (uint16_t port = 6000; port < 6003; port++) {
        flow.remote.port = port;
        inject({.flags = kSyn, .sequence = 0});
        if (port == 6002) break;
        EXPECT_EQ(next().flags, kSyn | kAck);
        inject({});
    }
    EXPECT_EQ(listener->accept_queue_length(), 2u);
    expect_none();
    EXPECT_EQ(stack.total_counters().ListenOverflows, 1u);
}

}  // namespace
}  // namespace coracle::net::tcp
