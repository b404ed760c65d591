// RFC 9293: states and the arrival of segments, with RFC 5961's rules.
#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {
namespace {

using Rfc9293 = Script;

// 3.5: the handshakes.
TEST_F(Rfc9293, PassiveOpen) {
    listen();
    inject({.flags = kSyn,
            .sequence = 0,
            .maximum_segment = 1460,
            .window_scale = 7,
            .sack_permitted = true});
    Sent answer = next();
    EXPECT_EQ(answer.flags, kSyn | kAck);
    EXPECT_EQ(answer.acknowledgement, 1u);
    EXPECT_EQ(answer.options.maximum_segment_size, 1460);
    EXPECT_TRUE(answer.options.sack_permitted);
    EXPECT_EQ(answer.options.window_scale, 7);
    EXPECT_TRUE(answer.options.has_timestamp);
    EXPECT_EQ(answer.options.timestamp_echo, peer_timestamp);
    EXPECT_FALSE(listener->has_connection());
    inject({});
    EXPECT_TRUE(listener->has_connection());
    expect_none();
}

TEST_F(Rfc9293, ActiveOpen) {
    connect_connection();
    EXPECT_TRUE(observer.events & kEventConnected);
    EXPECT_EQ(connection->segment_size, 1448u);
}

TEST_F(Rfc9293, SimultaneousOpen) {
    connection = connect();
    EXPECT_EQ(next().flags, kSyn);
    inject({.flags = kSyn, .sequence = 0, .maximum_segment = 1460});
    Sent answer = next();
    EXPECT_EQ(answer.flags, kSyn | kAck);
    EXPECT_EQ(answer.sequence, 0u);
    EXPECT_EQ(connection->state, State::kSynReceived);
    inject({.flags = kSyn | kAck, .sequence = 0, .maximum_segment = 1460});
    EXPECT_EQ(connection->state, State::kEstablished);
}

TEST_F(Rfc9293, SynIsSentAgainAndGivesUp) {
    connection = connect();
    EXPECT_EQ(next().flags, kSyn);
    uint64_t delay = kSecond;
    for (int i = 0; i < 6; i++, delay *= 2) {
        advance(delay - kMillisecond);
        expect_none();
        advance(kMillisecond);
        EXPECT_EQ(next().flags, kSyn) << i;
    }
    advance(delay);
    EXPECT_EQ(connection->error_code, ETIMEDOUT);
}

TEST_F(Rfc9293, RefusedByReset) {
    connection = connect();
    EXPECT_EQ(next().flags, kSyn);
    inject({.flags = kRst, .sequence = 0, .acknowledgement = 0});  // without ACK: ignored
    EXPECT_EQ(connection->state, State::kSynSent);
    inject({.flags = kRst | kAck, .sequence = 0});
    EXPECT_EQ(connection->error_code, ECONNREFUSED);
}

// 3.10.7.1: CLOSED.
TEST_F(Rfc9293, ClosedPortAnswersWithReset) {
    inject({.flags = kSyn, .sequence = 0});
    Sent reset = next();
    EXPECT_EQ(reset.flags, kRst | kAck);
    EXPECT_EQ(reset.acknowledgement, 1u);
    inject({.flags = kAck, .acknowledgement = 77});
    reset = next();
    EXPECT_EQ(reset.flags, kRst);
    EXPECT_EQ(reset.sequence, 77u);
    inject({.flags = kRst});
    expect_none();
}

// 3.10.7.2: LISTEN.
TEST_F(Rfc9293, ListenAnswersAckWithReset) {
    listen();
    inject({.flags = kAck, .acknowledgement = 5});
    EXPECT_EQ(next().flags, kRst);
    inject({.flags = kRst});
    inject({.flags = kFin});
    expect_none();
}

TEST_F(Rfc9293, HalfOpenAnswersWrongAckWithReset) {
    listen();
    inject({.flags = kSyn, .sequence = 0});
    EXPECT_EQ(next().flags, kSyn | kAck);
    inject({.acknowledgement = 2});
    EXPECT_EQ(next().flags, kRst);
    inject({.acknowledgement = 1});
    EXPECT_TRUE(listener->has_connection());
}

TEST_F(Rfc9293, SynAckIsSentAgainAndForgotten) {
    listen();
    inject({.flags = kSyn, .sequence = 0});
    EXPECT_EQ(next().flags, kSyn | kAck);
    for (int i = 0; i < 5; i++) {
        advance(kSecond << i);
        EXPECT_EQ(next().flags, kSyn | kAck) << i;
    }
    EXPECT_EQ(listener->syn_queue_length(), 1u);
    advance(kSecond << 5);
    expect_none();
    EXPECT_EQ(listener->syn_queue_length(), 0u);
}

// 3.10.7.4, data.
TEST_F(Rfc9293, DataIsAcknowledgedAndRead) {
    accept_connection();
    inject({.flags = kAck | kPsh, .payload = "hello"});
    EXPECT_TRUE(observer.events & kEventReadable);
    EXPECT_EQ(next().acknowledgement, 6u);  // quick at first
    EXPECT_EQ(read(), "hello");
    send("answer");
    Sent data = next();
    EXPECT_EQ(data.payload, "answer");
    EXPECT_EQ(data.sequence, 1u);
    EXPECT_EQ(data.flags, kAck | kPsh);
    inject({.sequence = 6, .acknowledgement = 7});
    EXPECT_EQ(connection->unacknowledged_bytes(), 0u);
    expect_none();
}

TEST_F(Rfc9293, OldDataIsAcknowledgedAgain) {
    accept_connection();
    inject({.payload = "hello"});
    next();
    inject({.payload = "hello"});
    Sent again = next();
    EXPECT_EQ(again.acknowledgement, 6u);
    EXPECT_EQ(read(), "hello");
}

TEST_F(Rfc9293, OverlapIsCut) {
    accept_connection();
    inject({.payload = "hello"});
    inject({.sequence = 4, .payload = "lo world"});
    EXPECT_EQ(read(), "hello world");
}

TEST_F(Rfc9293, DataBeyondTheWindowIsDropped) {
    accept_connection();
    inject({.sequence = 100'000'000, .payload = "far"});
    Sent ack = next();
    EXPECT_EQ(ack.acknowledgement, 1u);
    EXPECT_EQ(read(), "");
}

TEST_F(Rfc9293, AckOfUnsentDataIsDropped) {
    accept_connection();
    inject({.acknowledgement = 500, .payload = "x"});
    EXPECT_EQ(read(), "");
}

TEST_F(Rfc9293, ReorderedDataWaits) {
    accept_connection();
    inject({.sequence = 4, .payload = "def"});
    Sent ack = next();
    EXPECT_EQ(ack.acknowledgement, 1u);
    ASSERT_EQ(ack.options.sack_count, 1);
    EXPECT_EQ(ack.options.sack[0].start.value(), kPeerInitial + 4);
    EXPECT_EQ(ack.options.sack[0].end.value(), kPeerInitial + 7);
    EXPECT_EQ(read(), "");
    inject({.sequence = 1, .payload = "abc"});
    EXPECT_EQ(next().acknowledgement, 7u);
    EXPECT_EQ(read(), "abcdef");
}

TEST_F(Rfc9293, FinOutOfOrderWaits) {
    accept_connection();
    inject({.flags = kFin | kAck, .sequence = 4, .payload = "def"});
    EXPECT_EQ(connection->state, State::kEstablished);
    inject({.sequence = 1, .payload = "abc"});
    EXPECT_EQ(connection->state, State::kCloseWait);
    EXPECT_EQ(read(), "abcdef");
    EXPECT_TRUE(connection->has_end_of_file());
}

// The peer contradicts itself: data that it has sent lies behind its FIN.
TEST_F(Rfc9293, FinInTheMidstOfDataIsNone) {
    accept_connection();
    inject({.sequence = 11, .payload = "behind"});
    inject({.flags = kAck | kFin, .sequence = 13});
    inject({.sequence = 1, .payload = "before... "});
    EXPECT_EQ(connection->state, State::kEstablished);
    EXPECT_EQ(read(), "before... behind");
    inject({.sequence = 20, .payload = "lost"});
    EXPECT_GT(connection->receive_memory, 0u);
    inject({.flags = kAck | kFin, .sequence = 17});
    EXPECT_EQ(connection->state, State::kCloseWait);
    EXPECT_EQ(connection->receive_memory, 0u);
    sent_.clear();
}

// 3.6: closing.
TEST_F(Rfc9293, PassiveClose) {
    accept_connection();
    inject({.flags = kFin | kAck});
    EXPECT_EQ(next().acknowledgement, 2u);
    EXPECT_EQ(connection->state, State::kCloseWait);
    EXPECT_TRUE(connection->has_end_of_file());
    connection->shutdown_send();
    Sent fin = next();
    EXPECT_EQ(fin.flags & kFin, kFin);
    EXPECT_EQ(connection->state, State::kLastAck);
    inject({.sequence = 2, .acknowledgement = 2});
    EXPECT_EQ(connection->state, State::kClosed);
    EXPECT_EQ(stack.flow_count(), 0u);
}

TEST_F(Rfc9293, ActiveCloseEndsInTimeWait) {
    accept_connection();
    connection->shutdown_send();
    EXPECT_EQ(next().flags & kFin, kFin);
    EXPECT_EQ(connection->state, State::kFinWait1);
    inject({.acknowledgement = 2});
    EXPECT_EQ(connection->state, State::kFinWait2);
    inject({.acknowledgement = 2, .payload = "still"});
    EXPECT_EQ(read(), "still");
    sent_.clear();
    inject({.flags = kFin | kAck, .sequence = 6, .acknowledgement = 2});
    EXPECT_EQ(next().acknowledgement, 7u);
    EXPECT_EQ(stack.time_wait_count(), 1u);
    // The last acknowledgement was lost.
    inject({.flags = kFin | kAck, .sequence = 6, .acknowledgement = 2});
    EXPECT_EQ(next().acknowledgement, 7u);
    advance(61 * kSecond);
    EXPECT_EQ(stack.time_wait_count(), 0u);
    EXPECT_EQ(stack.flow_count(), 0u);
}

TEST_F(Rfc9293, SimultaneousClose) {
    accept_connection();
    connection->shutdown_send();
    EXPECT_EQ(next().flags & kFin, kFin);
    inject({.flags = kFin | kAck, .acknowledgement = 1});
    EXPECT_EQ(connection->state, State::kClosing);
    EXPECT_EQ(next().acknowledgement, 2u);
    inject({.sequence = 2, .acknowledgement = 2});
    EXPECT_EQ(stack.time_wait_count(), 1u);
}

TEST_F(Rfc9293, FinIsSentAgain) {
    accept_connection();
    connection->shutdown_send();
    EXPECT_EQ(next().flags & kFin, kFin);
    advance(kSecond);
    Sent again = next();
    EXPECT_EQ(again.flags & kFin, kFin);
    EXPECT_EQ(again.sequence, 1u);
}

TEST_F(Rfc9293, OrphanInFinWait2GoesAway) {
    accept_connection();
    connection->observer = nullptr;
    connection->close(false);
    EXPECT_EQ(next().flags & kFin, kFin);
    inject({.acknowledgement = 2});
    EXPECT_EQ(connection->state, State::kFinWait2);
    advance(61 * kSecond);
    EXPECT_EQ(stack.flow_count(), 0u);
}

// RFC 2525, 2.17, and RFC 9293, 3.6.
TEST_F(Rfc9293, CloseWithUnreadDataResets) {
    accept_connection();
    inject({.payload = "unread"});
    sent_.clear();
    connection->close(false);
    EXPECT_EQ(next().flags & kRst, kRst);
    EXPECT_EQ(stack.flow_count(), 0u);
}

TEST_F(Rfc9293, DataForAnOrphanResets) {
    accept_connection();
    connection->close(false);
    EXPECT_EQ(next().flags & kFin, kFin);
    inject({.acknowledgement = 2, .payload = "nobody reads"});
    EXPECT_EQ(next().flags & kRst, kRst);
}

// RFC 5961, 3: a reset needs the exact number.
TEST_F(Rfc9293, ResetInTheWindowIsChallenged) {
    accept_connection();
    inject({.flags = kRst, .sequence = 100});
    EXPECT_EQ(next().flags, kAck);
    EXPECT_EQ(connection->state, State::kEstablished);
    EXPECT_EQ(stack.total_counters().TCPChallengeACK, 1u);
    inject({.flags = kRst, .sequence = 90'000'000});
    expect_none();
    inject({.flags = kRst, .sequence = 1});
    EXPECT_EQ(connection->error_code, ECONNRESET);
    EXPECT_EQ(connection->state, State::kClosed);
}

// RFC 5961, 4.
TEST_F(Rfc9293, SynInAConnectionIsChallenged) {
    accept_connection();
    inject({.flags = kSyn, .sequence = 1});
    EXPECT_EQ(next().flags, kAck);
    EXPECT_EQ(connection->state, State::kEstablished);
}

// RFC 5961, 5.
TEST_F(Rfc9293, VeryOldAckIsChallenged) {
    accept_connection();
    inject({.acknowledgement = 0x80000000, .payload = "x"});
    EXPECT_EQ(read(), "");
}

}  // namespace
}  // namespace coracle::net::tcp
