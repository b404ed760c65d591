// RFC 7413: Fast Open, the server's side.
#include <linux/tcp.h>

#include "libposix/net/tests/tcp_script.h"

namespace coracle::net::tcp {
namespace {

class Rfc7413Server : public Script {
  protected:
    void listen_fast(uint32_t limit = 4) {
        stack.settings.fast_open = kFastOpenServer;
        listen();
        listener->set_fast_open_limit(limit);
    }
    Injected syn(std::optional<std::string> cookie, const std::string& data = "") {
        return {.flags = kSyn,
                .sequence = 0,
                .payload = data,
                .maximum_segment = 1460,
                .window_scale = 7,
                .sack_permitted = true,
                .cookie = std::move(cookie)};
    }
    // What the server gives to this client.
    std::string ask_for_cookie(uint16_t port = 4000) {
        const FlowKey kept_flow = flow;
        const Sequence kept_initial = our_initial;
        flow.remote.port = port;
        inject(syn(""));
        Sent answer = next();
        EXPECT_EQ(answer.flags, kSyn | kAck);
        inject({.flags = kRst, .sequence = 1});
        flow = kept_flow;
        our_initial = kept_initial;
        return answer.cookie;
    }
    void accept_early(const std::string& data) {
        std::string cookie = ask_for_cookie();
        inject(syn(cookie, data));
        Sent answer = next();
        EXPECT_EQ(answer.flags, kSyn | kAck);
        EXPECT_EQ(answer.acknowledgement, 1 + data.size());
        connection = listener->accept();
        ASSERT_TRUE(connection);
        connection->observer = &observer;
        ASSERT_EQ(connection->state, State::kSynReceived);
    }
};

// 4.1.1: the option's sizes; another is no option.
TEST_F(Rfc7413Server, CookiesHaveFourToSixteenBytes) {
    listen_fast();
    for (size_t size : {4u, 6u, 16u}) {
        inject(syn(std::string(size, 'x')));
        Sent answer = next();
        EXPECT_EQ(answer.cookie.size(), 8u) << size;  // a wrong one is answered with the right one
        EXPECT_EQ(answer.options.fast_open_size, kFastOpenBase + 8);
        flow.remote.port++;
    }
    EXPECT_EQ(stack.total_counters().TCPFastOpenPassiveFail, 3u);
    for (size_t size : {2u, 5u}) {
        inject(syn(std::string(size, 'x')));
        EXPECT_EQ(next().options.fast_open_size, 0) << size;
        flow.remote.port++;
    }
}

// 4.2.1: the server.
TEST_F(Rfc7413Server, ServerGivesCookies) {
    listen_fast();
    std::string cookie = ask_for_cookie();
    EXPECT_EQ(cookie.size(), 8u);
    EXPECT_EQ(ask_for_cookie(99), cookie);  // for the address, whatever the port
    flow.remote.address = IpAddress::v4(198, 51, 100, 8);
    EXPECT_NE(ask_for_cookie(), cookie);
    EXPECT_EQ(stack.total_counters().TCPFastOpenCookieReqd, 3u);
}

TEST_F(Rfc7413Server, ListenerWithoutFastOpenIgnoresTheOption) {
    stack.settings.fast_open = kFastOpenServer;
    listen();
    EXPECT_EQ(ask_for_cookie(), "");
    inject(syn("biscuits", "data"));
    Sent answer = next();
    EXPECT_EQ(answer.acknowledgement, 1u);
    EXPECT_EQ(answer.options.fast_open_size, 0);
    EXPECT_FALSE(listener->has_connection());
}

TEST_F(Rfc7413Server, SettingSwitchesTheServerOff) {
    listen_fast();
    stack.settings.fast_open = kFastOpenClient;
    EXPECT_EQ(ask_for_cookie(), "");
}

TEST_F(Rfc7413Server, DataInSynIsThereBeforeTheHandshakeEnds) {
    listen_fast();
    accept_early("request");
    EXPECT_EQ(read(), "request");
    EXPECT_EQ(stack.total_counters().TCPFastOpenPassive, 1u);
    tcp_info info;
    connection->fill_info(info);
    EXPECT_EQ(info.tcpi_options & TCPI_OPT_SYN_DATA, TCPI_OPT_SYN_DATA);
    // And may be answered.
    send("answer");
    Sent data = next();
    EXPECT_EQ(data.payload, "answer");
    EXPECT_EQ(data.sequence, 1u);
    EXPECT_EQ(data.acknowledgement, 8u);
    advance(10 * kMillisecond);
    inject({.sequence = 8, .acknowledgement = 7});
    EXPECT_EQ(connection->state, State::kEstablished);
    EXPECT_EQ(connection->unacknowledged_bytes(), 0u);
    EXPECT_FALSE(listener->has_connection());  // it is not queued twice
    inject({.sequence = 8, .acknowledgement = 7, .payload = "more"});
    EXPECT_EQ(read(), "more");
}

TEST_F(Rfc7413Server, CookieWithoutDataOpensEarlyToo) {
    listen_fast();
    accept_early("");
    send("banner");
    EXPECT_EQ(next().payload, "banner");
}

TEST_F(Rfc7413Server, WrongCookieFallsBack) {
    listen_fast();
    std::string cookie = ask_for_cookie();
    inject(syn("crumbs", "request"));
    Sent answer = next();
    EXPECT_EQ(answer.acknowledgement, 1u);
    EXPECT_EQ(answer.cookie, cookie);
    EXPECT_FALSE(listener->has_connection());
    inject({.payload = "request"});
    connection = listener->accept();
    ASSERT_TRUE(connection);
    EXPECT_EQ(read(), "request");
}

TEST_F(Rfc7413Server, DataWithoutCookieFallsBack) {
    listen_fast();
    inject(syn(std::nullopt, "request"));
    Sent answer = next();
    EXPECT_EQ(answer.acknowledgement, 1u);
    EXPECT_EQ(answer.options.fast_open_size, 0);
}

TEST_F(Rfc7413Server, ServerMayTakeDataWithoutCookie) {
    listen_fast();
    stack.settings.fast_open |= kFastOpenAcceptWithoutCookie;
    inject(syn(std::nullopt, "request"));
    EXPECT_EQ(next().acknowledgement, 8u);
    EXPECT_TRUE(listener->has_connection());
}

TEST_F(Rfc7413Server, SynAckIsSentAgain) {
    listen_fast();
    accept_early("request");
    send("answer");
    EXPECT_EQ(next().payload, "answer");
    for (int i = 0; i < 6; i++) {
        advance(kSecond << i);
        Sent again = next();
        EXPECT_EQ(again.flags, kSyn | kAck) << i;
        EXPECT_EQ(again.acknowledgement, 8u);
        expect_none();
    }
    advance(kSecond << 6);
    EXPECT_EQ(connection->error_code, ETIMEDOUT);
    EXPECT_EQ(stack.flow_count(), 0u);
}

// The client has not seen the SYN+ACK.
TEST_F(Rfc7413Server, RepeatedSynIsAnswered) {
    listen_fast();
    accept_early("request");
    advance(kSecond);
    sent_.clear();
    inject(syn(std::nullopt));
    Sent again = next();
    EXPECT_EQ(again.flags, kSyn | kAck);
    EXPECT_EQ(again.acknowledgement, 8u);
    EXPECT_EQ(read(), "request");
}

// Data that was sent before the handshake's end is sent again after it.
TEST_F(Rfc7413Server, EarlyDataIsSentAgain) {
    listen_fast();
    accept_early("request");
    send("answer");
    EXPECT_EQ(next().payload, "answer");
    inject({.sequence = 8, .acknowledgement = 1});
    EXPECT_EQ(connection->state, State::kEstablished);
    advance(2 * kSecond);
    EXPECT_EQ(next().payload, "answer");
}

TEST_F(Rfc7413Server, FinWaitsForTheHandshake) {
    listen_fast();
    accept_early("request");
    EXPECT_EQ(read(), "request");
    send("answer");
    connection->shutdown_send();
    EXPECT_EQ(next().payload, "answer");
    expect_none();
    inject({.sequence = 8, .acknowledgement = 7});
    Sent fin = next();
    EXPECT_EQ(fin.flags & kFin, kFin);
    EXPECT_EQ(fin.sequence, 7u);
    EXPECT_EQ(connection->state, State::kFinWait1);
}

TEST_F(Rfc7413Server, OrphanHasItsFinToDeliver) {
    listen_fast();
    accept_early("request");
    EXPECT_EQ(read(), "request");
    connection->close(false);
    expect_none();
    EXPECT_EQ(stack.undelivered(), 1u);
    inject({.sequence = 8});
    EXPECT_EQ(next().flags & kFin, kFin);
    EXPECT_EQ(stack.undelivered(), 1u);
    inject({.sequence = 8, .acknowledgement = 2});
    EXPECT_EQ(stack.undelivered(), 0u);
}

// 5.1: no more than so many at once.
TEST_F(Rfc7413Server, QueueIsLimited) {
    listen_fast(2);
    std::string cookie = ask_for_cookie();
    auto open = [&] {
        flow.remote.port++;
        inject(syn(cookie, "request"));
        return next().acknowledgement;
    };
    EXPECT_EQ(open(), 8u);
    EXPECT_EQ(open(), 8u);
    const Sequence second = our_initial;
    EXPECT_EQ(open(), 1u);
    EXPECT_EQ(stack.total_counters().TCPFastOpenListenOverflow, 1u);
    // One more when the handshake of one has ended.
    flow.remote.port--;
    our_initial = second;
    inject({.sequence = 8});
    flow.remote.port++;
    EXPECT_EQ(open(), 8u);
}

// 5.1: a reset gives no place free, for a while.
TEST_F(Rfc7413Server, ResetCountsForAWhile) {
    listen_fast(1);
    accept_early("request");
    inject({.flags = kRst, .sequence = 8});
    EXPECT_EQ(connection->error_code, ECONNRESET);
    connection = nullptr;
    std::string cookie = "biscuits";
    flow.remote.port++;
    inject(syn(cookie, "request"));
    EXPECT_EQ(next().acknowledgement, 1u);
    EXPECT_EQ(stack.total_counters().TCPFastOpenListenOverflow, 1u);
    sent_.clear();
    advance(61 * kSecond);
    sent_.clear();
    EXPECT_NE(ask_for_cookie(), "");
}

TEST_F(Rfc7413Server, ListenerMayGoFirst) {
    listen_fast();
    accept_early("request");
    const Sequence first = our_initial;
    flow.remote.port++;
    inject(syn(ask_for_cookie(), "nobody accepts"));
    sent_.clear();
    stack.stop_listening(*listener);
    listener = nullptr;
    EXPECT_EQ(next().flags & kRst, kRst);
    flow.remote.port--;
    our_initial = first;
    inject({.sequence = 8});
    EXPECT_EQ(connection->state, State::kEstablished);
    EXPECT_EQ(read(), "request");
}

}  // namespace
}  // namespace coracle::net::tcp
