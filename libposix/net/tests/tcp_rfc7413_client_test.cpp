// RFC 7413: Fast Open, the client's side.
#include <linux/tcp.h>

#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {
namespace {

constexpr uint8_t kRequest = kFastOpenBase;

class Rfc7413Client : public Script {
  protected:
    const std::string kCookie = "biscuits";

    Injected syn_ack(uint32_t acknowledgement = 1) {
        return {.flags = kSyn | kAck,
                .sequence = 0,
                .acknowledgement = acknowledgement,
                .maximum_segment = 1460,
                .window_scale = 7,
                .sack_permitted = true};
    }
    // Has the cookie from an earlier connection.
    void learn_cookie() {
        connection = connect(FastOpen::kWithCookie);
        Sent syn = next();
        EXPECT_EQ(syn.options.fast_open_size, kRequest);
        Injected answer = syn_ack();
        answer.cookie = kCookie;
        inject(answer);
        EXPECT_EQ(next().flags, kAck);
        ASSERT_EQ(connection->state, State::kEstablished);
        connection->observer = nullptr;
        connection->abort(0);
        connection = nullptr;
        sent_.clear();
    }
    Sent send_syn_with(const std::string& text) {
        connection = connect(FastOpen::kWithCookie);
        expect_none();
        EXPECT_TRUE(connection->waits_for_data());
        connection->send_with_syn(text.empty() ? nullptr : make_data(text));
        return next();
    }
    tcp_info info() {
        tcp_info info;
        connection->fill_info(info);
        return info;
    }
};

// 4.2.1: the client asks for a cookie.
TEST_F(Rfc7413Client, ClientAsksForCookie) {
    connection = connect(FastOpen::kWithCookie);
    EXPECT_FALSE(connection->waits_for_data());
    Sent syn = next();
    EXPECT_EQ(syn.flags, kSyn);
    EXPECT_EQ(syn.options.fast_open_size, kRequest);
    EXPECT_EQ(info().tcpi_fastopen_client_fail, 1u);  // TFO_COOKIE_UNAVAILABLE
    advance(kSecond);
    EXPECT_EQ(next().options.fast_open_size, 0);  // not in the SYN that follows a timeout
}

TEST_F(Rfc7413Client, OrdinarySynHasNoOption) {
    connection = connect();
    EXPECT_EQ(next().options.fast_open_size, 0);
    Injected answer = syn_ack();
    answer.cookie = kCookie;  // which nobody asked for
    inject(answer);
    sent_.clear();
    connection->observer = nullptr;
    connection->abort(0);
    sent_.clear();
    connection = connect(FastOpen::kWithCookie);
    EXPECT_EQ(next().options.fast_open_size, kRequest);
}

// 4.2.2: the client with a cookie.
TEST_F(Rfc7413Client, SynCarriesCookieAndData) {
    learn_cookie();
    Sent syn = send_syn_with("request");
    EXPECT_EQ(syn.flags, kSyn);
    EXPECT_EQ(syn.cookie, kCookie);
    EXPECT_EQ(syn.payload, "request");
    inject(syn_ack(8));
    Sent ack = next();
    EXPECT_EQ(ack.flags, kAck);
    EXPECT_EQ(ack.sequence, 8u);
    EXPECT_EQ(ack.length, 0u);
    EXPECT_EQ(connection->state, State::kEstablished);
    EXPECT_EQ(connection->unacknowledged_bytes(), 0u);
    EXPECT_EQ(connection->send_memory, 0u);
    EXPECT_EQ(info().tcpi_options & TCPI_OPT_SYN_DATA, TCPI_OPT_SYN_DATA);
    EXPECT_EQ(stack.total_counters().TCPFastOpenActive, 1u);
    send("more");
    EXPECT_EQ(next().sequence, 8u);
}

TEST_F(Rfc7413Client, SynOfCookieAlone) {
    learn_cookie();
    Sent syn = send_syn_with("");
    EXPECT_EQ(syn.cookie, kCookie);
    EXPECT_EQ(syn.length, 0u);
    inject(syn_ack());
    EXPECT_EQ(next().flags, kAck);
    EXPECT_EQ(info().tcpi_options & TCPI_OPT_SYN_DATA, 0);
}

TEST_F(Rfc7413Client, SynWithoutCookie) {
    connection = connect(FastOpen::kWithoutCookie);
    EXPECT_TRUE(connection->waits_for_data());
    connection->send_with_syn(make_data("known"));
    Sent syn = next();
    EXPECT_EQ(syn.options.fast_open_size, 0);
    EXPECT_EQ(syn.payload, "known");
    inject(syn_ack(6));
    EXPECT_EQ(next().sequence, 6u);
}

// The SYN has the peer's segment size less the room of all options; the rest follows at once.
TEST_F(Rfc7413Client, SynTakesWhatFits) {
    learn_cookie();
    Sent syn = send_syn_with(std::string(3000, 'x'));
    EXPECT_EQ(syn.length, 1460u - kMaxOptionsSize);
    inject(syn_ack(1421));
    Sent rest = next();
    EXPECT_EQ(rest.sequence, 1421u);
    EXPECT_EQ(rest.length, 1448u);
    EXPECT_EQ(next().length, 3000u - 1420 - 1448);
    expect_none();
}

TEST_F(Rfc7413Client, DataIsSentAgainIfOnlyTheSynIsAcknowledged) {
    learn_cookie();
    send_syn_with("request");
    inject(syn_ack(1));
    Sent again = next();
    EXPECT_EQ(again.payload, "request");
    EXPECT_EQ(again.sequence, 1u);
    EXPECT_TRUE(again.flags & kAck);
    expect_none();
    EXPECT_EQ(stack.total_counters().TCPFastOpenActiveFail, 1u);
    EXPECT_EQ(stack.total_counters().RetransSegs, 1u);
    EXPECT_EQ(info().tcpi_fastopen_client_fail, 2u);  // TFO_DATA_NOT_ACKED
    inject({.acknowledgement = 8});
    EXPECT_EQ(connection->send_memory, 0u);
    advance(kSecond);
    expect_none();
}

TEST_F(Rfc7413Client, DataIsSentAgainInPart) {
    learn_cookie();
    send_syn_with("request");
    inject(syn_ack(4));
    Sent again = next();
    EXPECT_EQ(again.payload, "uest");
    EXPECT_EQ(again.sequence, 4u);
}

TEST_F(Rfc7413Client, AcknowledgementBeyondTheDataIsReset) {
    learn_cookie();
    send_syn_with("request");
    inject(syn_ack(9));
    EXPECT_EQ(next().flags, kRst);
    EXPECT_EQ(connection->state, State::kSynSent);
}

// 4.2.2: after a timeout, the SYN goes alone.
TEST_F(Rfc7413Client, SynAloneAfterTimeout) {
    learn_cookie();
    send_syn_with("request");
    advance(kSecond);
    Sent syn = next();
    EXPECT_EQ(syn.flags, kSyn);
    EXPECT_EQ(syn.options.fast_open_size, 0);
    EXPECT_EQ(syn.length, 0u);
    inject(syn_ack(1));
    EXPECT_EQ(next().payload, "request");
    EXPECT_EQ(info().tcpi_fastopen_client_fail, 3u);  // TFO_SYN_RETRANSMITTED
}

// A cookie in the SYN+ACK replaces the one that was refused.
TEST_F(Rfc7413Client, NewCookieReplacesOld) {
    learn_cookie();
    send_syn_with("request");
    Injected answer = syn_ack(1);
    answer.cookie = "new cookie";
    inject(answer);
    EXPECT_EQ(next().payload, "request");
    connection->observer = nullptr;
    connection->abort(0);
    sent_.clear();
    EXPECT_EQ(send_syn_with("again").cookie, "new cookie");
}

TEST_F(Rfc7413Client, RefusalDropsTheData) {
    learn_cookie();
    send_syn_with("request");
    inject({.flags = kRst | kAck, .sequence = 0, .acknowledgement = 8});
    EXPECT_EQ(connection->error_code, ECONNREFUSED);
    EXPECT_EQ(connection->send_memory, 0u);
}

// One thread closes it while another reads its first data.
TEST_F(Rfc7413Client, WhatHasEndedSendsNoSyn) {
    learn_cookie();
    connection = connect(FastOpen::kWithCookie);
    ASSERT_TRUE(connection->waits_for_data());
    connection->close(true);
    EXPECT_FALSE(connection->waits_for_data());
    connection->send_with_syn(make_data("late"));
    expect_none();
    connection = nullptr;
    advance(kSecond);
    expect_none();
}

TEST_F(Rfc7413Client, SimultaneousOpenSendsTheDataLater) {
    learn_cookie();
    send_syn_with("request");
    inject({.flags = kSyn, .sequence = 0, .maximum_segment = 1460});
    EXPECT_EQ(next().flags, kSyn | kAck);
    inject({.flags = kSyn | kAck, .sequence = 0, .maximum_segment = 1460});
    EXPECT_EQ(connection->state, State::kEstablished);
    EXPECT_EQ(next().payload, "request");
}

}  // namespace
}  // namespace coracle::net::tcp
