// IPv6, ICMPv6 and neighbour discovery, by the sections of their RFCs.
#include "libposix/net/address_text.h"
#include "libposix/net/tests/stack_test.h"

namespace coracle::net {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

class Ipv6Test : public StackTest {
  protected:
    static IpAddress address(std::string_view text) { return *parse_address(text); }
    static Bytes bytes_of(const IpAddress& from) {
        return Bytes(from.v6_bytes(), from.v6_bytes() + 16);
    }
    static Bytes link_option(uint8_t type, const MacAddress& mac) {
        return Bytes{type, 1} + Bytes(mac.bytes, mac.bytes + 6);
    }
};

TEST_F(Ipv6Test, Rfc4291Section2_2_TextForms) {
    EXPECT_EQ(bytes_of(address("::")), Bytes(16));
    EXPECT_EQ(address("::1"), IpAddress::loopback_v6());
    EXPECT_EQ(address("::ffff:1.2.3.4"), IpAddress::v4(1, 2, 3, 4));
    EXPECT_EQ(address("1:2:3:4:5:6:7:8").v6_bytes()[15], 8);
    EXPECT_EQ(address("fe80::1:0").v6_bytes()[13], 1);
    EXPECT_EQ(address("1::").v6_bytes()[1], 1);
    for (const char* bad : {"", ":", "1", "1:2", ":::", "1::2::3", "1:2:3:4:5:6:7:8:9", "12345::",
                            "::1.2.3", "1.2.3.4.5", "256.1.1.1", "1:2:3:4:5:6:7::8", "::g"}) {
        EXPECT_FALSE(parse_address(bad)) << bad;
    }
    EXPECT_FALSE(parse_address_with_prefix("::1/129"));
    EXPECT_EQ(parse_address_with_prefix("10.0.0.1/8")->prefix_length, 8);
}

TEST_F(Ipv6Test, Rfc4443Section4_2_EchoIsAnswered) {
    introduce_peer();
    Bytes request = Bytes{128, 0, 0, 0} + be16(7) + be16(1) + pattern(30);
    receive_ipv6(icmpv6(peer6, ours6, request));
    Bytes reply = take_sent();
    Bytes expected = icmpv6(ours6, peer6, Bytes{129, 0, 0, 0} + slice(request, 4, 99));
    EXPECT_EQ(slice(reply, 40, 999), slice(expected, 40, 999));
    Bytes damaged = icmpv6(peer6, ours6, request);
    damaged[60] ^= 1;
    receive_ipv6(damaged);
    EXPECT_TRUE(eth.sent.empty());
}

TEST_F(Ipv6Test, Rfc4861Section7_2_AddressesAreResolvedAndAnswered) {
    ASSERT_TRUE(send(peer6, {1}).ok());
    uint16_t type;
    MacAddress to;
    Bytes question = take_sent(&type, &to);
    ASSERT_EQ(question.size(), 72u);
    EXPECT_EQ(to, (MacAddress{{0x33, 0x33, 0xff, 0, 0, 1}}));
    EXPECT_EQ(question[7], 255);
    EXPECT_EQ(question[40], 135);
    EXPECT_EQ(slice(question, 48, 16), bytes_of(peer6));
    receive_ipv6(icmpv6(
        peer6, ours6,
        Bytes{136, 0, 0, 0, 0x60, 0, 0, 0} + bytes_of(peer6) + link_option(2, kPeerMac), 255));
    Bytes packet = take_sent(&type, &to);
    EXPECT_EQ(to, kPeerMac);
    EXPECT_EQ(slice(packet, 40, 9), Bytes{1});

    receive_ipv6(
        icmpv6(peer6, ours6,
               Bytes{135, 0, 0, 0, 0, 0, 0, 0} + bytes_of(ours6) + link_option(1, kPeerMac), 255));
    Bytes answer = take_sent();
    ASSERT_EQ(answer.size(), 72u);
    EXPECT_EQ(answer[40], 136);
    EXPECT_EQ(answer[44], 0x60) << "solicited, and it overrides";
    EXPECT_EQ(slice(answer, 64, 8), link_option(2, kOurMac));
}

TEST_F(Ipv6Test, Rfc4861Section7_1_1_MessagesFromAfarAreIgnored) {
    receive_ipv6(
        icmpv6(peer6, ours6,
               Bytes{135, 0, 0, 0, 0, 0, 0, 0} + bytes_of(ours6) + link_option(1, kPeerMac), 254));
    receive_ipv6(icmpv6(
        peer6, ours6, Bytes{135, 0, 0, 0, 0, 0, 0, 0} + bytes_of(ours6) + Bytes{1, 0, 0, 0}, 255));
    EXPECT_TRUE(eth.sent.empty());
}

TEST_F(Ipv6Test, Rfc4862Section5_5_RouterAdvertisementGivesAnAddressAndARoute) {
    IpAddress router = address("fe80::2");
    Bytes prefix =
        Bytes{3, 4, 64, 0xc0} + be32(86400) + be32(14400) + be32(0) + bytes_of(address("fd12::"));
    Bytes advertisement = Bytes{134, 0, 0, 0, 64, 0} + be16(1800) + be32(0) + be32(0) + prefix +
                          Bytes{5, 1, 0, 0} + be32(1400) + link_option(1, kPeerMac);
    receive_ipv6(icmpv6(router, address("ff02::1"), advertisement, 255));
    ASSERT_EQ(received.size(), 0u);
    EXPECT_FALSE(eth.find_address(address("fd12::5054:ff:fe12:3456"))) << "not in the group yet";
    {
        NetworkScope scope;
        start_ipv6(eth);
    }
    eth.sent.clear();
    receive_ipv6(icmpv6(router, address("ff02::1"), advertisement, 255));
    IpAddress learnt = address("fd12::5054:ff:fe12:3456");
    ASSERT_TRUE(eth.find_address(learnt));
    EXPECT_EQ(eth.mtu_v6, 1400u);
    auto route = find_route(address("2001:db8::1"), {}, 0);
    ASSERT_TRUE(route.ok());
    EXPECT_EQ(route->next_hop, router);
    EXPECT_EQ(route->source, learnt);
    EXPECT_EQ(route->mtu, 1400u);
    advance_clock(1802 * kSecond);
    EXPECT_FALSE(find_route(address("2001:db8::1"), {}, 0).ok()) << "the router is not heard of";
    EXPECT_TRUE(eth.find_address(learnt));
    advance_clock(86400 * kSecond);
    EXPECT_FALSE(eth.find_address(learnt));
    eth.mtu_v6 = 1500;
}

TEST_F(Ipv6Test, Rfc4862Section5_4_AddressesAreProbed) {
    {
        NetworkScope scope;
        probe_address(eth, ours6);
    }
    Bytes probe = take_sent();
    ASSERT_EQ(probe.size(), 64u);
    EXPECT_EQ(slice(probe, 8, 16), Bytes(16)) << "from the unspecified address";
}

TEST_F(Ipv6Test, Rfc8200Section4_5_FragmentsLeaveAndJoin) {
    introduce_peer();
    ASSERT_TRUE(send(peer6, pattern(4000), {.dont_fragment = false}).ok());
    ASSERT_EQ(eth.sent.size(), 3u);
    while (!eth.sent.empty()) {
        Bytes fragment = take_sent();
        EXPECT_EQ(fragment[6], IPPROTO_FRAGMENT);
        EXPECT_LE(fragment.size(), 1500u);
        // Back to us as the peer's own.
        Bytes mirrored = ipv6(peer6, ours6, IPPROTO_FRAGMENT, slice(fragment, 40, 9999));
        receive_ipv6(mirrored);
    }
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].payload, pattern(4000));
    EXPECT_EQ(reassembly_memory(), 0u);
}

TEST_F(Ipv6Test, Rfc6946_AtomicFragmentsWaitForNobody) {
    receive_ipv6(ipv6(peer6, ours6, IPPROTO_FRAGMENT,
                      Bytes{kTestProtocol, 0, 0, 0} + be32(5) + pattern(33)));
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].payload, pattern(33));
    EXPECT_EQ(received[0].how.header_length, 48u);
}

TEST_F(Ipv6Test, Rfc8200Section4_ExtensionHeadersAreWalked) {
    introduce_peer();
    Bytes options = Bytes{IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0};
    Bytes more = Bytes{kTestProtocol, 0, 0x1e, 1, 9, 1, 1, 0};
    receive_ipv6(ipv6(peer6, ours6, IPPROTO_HOPOPTS, options + more + Bytes{7}));
    ASSERT_EQ(received.size(), 1u) << "unknown options that may be skipped are";
    EXPECT_EQ(received[0].payload, Bytes{7});
    more[2] = 0x9e;
    receive_ipv6(ipv6(peer6, ours6, IPPROTO_HOPOPTS, options + more + Bytes{7}));
    EXPECT_EQ(received.size(), 1u);
    Bytes error = take_sent();
    ASSERT_GE(error.size(), 48u);
    EXPECT_EQ(error[40], 4) << "parameter problem";
    EXPECT_EQ(error[41], 2) << "unknown option";
    EXPECT_EQ(read_be32(&error[44]), 40u + 8 + 2) << "and where it is";
    Bytes endless;
    for (int i = 0; i < 50; i++) endless = endless + Bytes{IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0};
    receive_ipv6(ipv6(peer6, ours6, IPPROTO_DSTOPTS, endless));
    Bytes routing = Bytes{kTestProtocol, 2, 0, 1, 0, 0, 0, 0} + bytes_of(peer6);
    receive_ipv6(ipv6(peer6, ours6, IPPROTO_ROUTING, routing + Bytes{7}));
    EXPECT_EQ(received.size(), 1u) << "RFC 5095: no routing header of type 0";
}

TEST_F(Ipv6Test, Rfc8201Section4_PacketTooBig) {
    introduce_peer();
    Bytes packet = ipv6(ours6, peer6, kTestProtocol, pattern(100));
    receive_ipv6(icmpv6(peer6, ours6, Bytes{2, 0, 0, 0} + be32(1300) + packet));
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].error, EMSGSIZE);
    EXPECT_EQ(find_route(peer6, {}, 0)->mtu, 1300u);
    receive_ipv6(icmpv6(peer6, ours6, Bytes{2, 0, 0, 0} + be32(100) + packet));
    EXPECT_EQ(find_route(peer6, {}, 0)->mtu, 1280u);
}

TEST_F(Ipv6Test, Rfc6724_SourceOfTheRightScope) {
    IpAddress link_local = address("fe80::5"), global = address("2001:db8::5");
    (void)eth.add_address({.address = link_local, .prefix_length = 64}).ok();
    (void)eth.add_address({.address = global, .prefix_length = 64}).ok();
    EXPECT_EQ(eth.choose_source(address("fe80::9"))->address, link_local);
    EXPECT_EQ(eth.choose_source(address("2001:db8::9"))->address, global);
    EXPECT_EQ(eth.choose_source(address("2a00::9"))->address, global);
    EXPECT_EQ(eth.choose_source(address("fec0::9"))->address, ours6);
}

TEST_F(Ipv6Test, Rfc3810_JoinsAreReportedWithRouterAlert) {
    NetworkScope scope;
    ASSERT_TRUE(eth.join_group(address("ff15::77")).ok());
    Bytes report = take_sent();
    ASSERT_EQ(report.size(), 76u);
    EXPECT_EQ(report[6], IPPROTO_HOPOPTS);
    EXPECT_EQ(report[7], 1);
    EXPECT_EQ(report[48], 143);
    EXPECT_EQ(report[56], 4);
    ASSERT_TRUE(eth.leave_group(address("ff15::77")).ok());
    EXPECT_EQ(take_sent()[56], 3);
    EXPECT_FALSE(eth.leave_group(address("ff15::77")).ok());
}

}  // namespace
}  // namespace coracle::net
