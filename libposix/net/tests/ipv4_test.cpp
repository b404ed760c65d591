// IPv4, ICMP, ARP and routes, by the sections of their RFCs.
#include <linux/icmp.h>

#include "libposix/net/tests/stack_test.h"

namespace coracle::net {
namespace {

using Ipv4Test = StackTest;
constexpr uint64_t kSecond = 1'000'000'000;

Bytes arp(uint16_t operation, const MacAddress& from, const IpAddress& sender, const MacAddress& to,
          const IpAddress& target) {
    return be16(1) + be16(0x0800) + Bytes{6, 4} + be16(operation) +
           Bytes(from.bytes, from.bytes + 6) + be32(sender.v4_host_order()) +
           Bytes(to.bytes, to.bytes + 6) + be32(target.v4_host_order());
}

TEST_F(Ipv4Test, Loopback_PacketsComeBack) {
    ASSERT_TRUE(send(IpAddress::loopback_v4(), pattern(100)).ok());
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].payload, pattern(100));
    EXPECT_EQ(received[0].how.source, IpAddress::loopback_v4());
    ASSERT_TRUE(send(ours, pattern(9000)).ok()) << "our own address is local, too";
    ASSERT_EQ(received.size(), 2u);
    EXPECT_EQ(received[1].payload.size(), 9000u);
    ASSERT_TRUE(send(IpAddress::loopback_v6(), pattern(50)).ok());
    EXPECT_EQ(received.size(), 3u);
    EXPECT_TRUE(eth.sent.empty());
}

TEST_F(Ipv4Test, Rfc826_AsksOnceForABurstAndSendsItInOrder) {
    for (uint8_t i = 0; i < 3; i++) ASSERT_TRUE(send(peer, {i}).ok());
    uint16_t type;
    MacAddress to;
    EXPECT_EQ(take_sent(&type, &to), arp(1, kOurMac, ours, {}, peer));
    EXPECT_EQ(type, 0x0806);
    EXPECT_EQ(to.bytes[0], 0xff);
    EXPECT_TRUE(eth.sent.empty()) << "one question for all";
    receive(from_peer(0x0806) + arp(2, kPeerMac, peer, kOurMac, ours));
    for (uint8_t i = 0; i < 3; i++) {
        Bytes packet = take_sent(&type, &to);
        ASSERT_EQ(packet.size(), 21u);
        EXPECT_EQ(packet[20], i);
        EXPECT_EQ(to, kPeerMac);
    }
}

TEST_F(Ipv4Test, Rfc826_AnswersForItsOwnAddressOnly) {
    receive(from_peer(0x0806) + arp(1, kPeerMac, peer, {}, ours));
    EXPECT_EQ(take_sent(), arp(2, kOurMac, ours, kPeerMac, peer));
    receive(from_peer(0x0806) + arp(1, kPeerMac, peer, {}, IpAddress::v4(10, 0, 2, 99)));
    EXPECT_TRUE(eth.sent.empty());
    // Who asked is known now.
    ASSERT_TRUE(send(peer, {1}).ok());
    uint16_t type;
    take_sent(&type);
    EXPECT_EQ(type, 0x0800);
}

TEST_F(Ipv4Test, Rfc1122Section2_3_2_UnansweredQuestionsEndInHostUnreachable) {
    ASSERT_TRUE(send(IpAddress::v4(10, 0, 2, 77), pattern(20)).ok());
    advance_clock(5 * kSecond);
    EXPECT_EQ(eth.sent.size(), 3u) << "one a second, three times";
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].error, EHOSTUNREACH);
    EXPECT_EQ(errors[0].destination, IpAddress::v4(10, 0, 2, 77));
}

TEST_F(Ipv4Test, Rfc1122Section2_3_2_EntriesAgeAndAreProbedByUnicast) {
    introduce_peer();
    ASSERT_TRUE(send(peer, {1}).ok());
    take_sent();
    advance_clock(40 * kSecond);
    ASSERT_TRUE(send(peer, {2}).ok());
    uint16_t type;
    take_sent(&type);
    EXPECT_EQ(type, 0x0800) << "a stale entry is still used";
    advance_clock(7 * kSecond);
    MacAddress to;
    EXPECT_EQ(take_sent(&type, &to), arp(1, kOurMac, ours, {}, peer)) << "but asked about";
    EXPECT_EQ(to, kPeerMac);
}

TEST_F(Ipv4Test, Rfc1122Section2_3_2_QueueOfANeighbourIsBounded) {
    for (size_t i = 0; i < 3 * kMaxWaitingPackets; i++) {
        ASSERT_TRUE(send(peer, be16(i)).ok());
    }
    eth.sent.clear();
    receive(from_peer(0x0806) + arp(2, kPeerMac, peer, kOurMac, ours));
    EXPECT_EQ(eth.sent.size(), kMaxWaitingPackets);
    Bytes first = take_sent();
    EXPECT_EQ(read_be16(&first[20]), 2 * kMaxWaitingPackets) << "the oldest are gone";
}

TEST_F(Ipv4Test, Rfc1122Section3_2_2_6_EchoIsAnswered) {
    introduce_peer();
    Bytes request = icmp(Bytes{8, 0, 0, 0} + be16(77) + be16(1) + pattern(56));
    receive_ipv4(ipv4(peer, ours, IPPROTO_ICMP, request));
    Bytes reply = take_sent();
    ASSERT_EQ(reply.size(), 20 + request.size());
    EXPECT_EQ(checksum_of(reply.data(), 20), 0);
    EXPECT_EQ(slice(reply, 20, 999), icmp(Bytes{0, 0, 0, 0} + slice(request, 4, 999)));
    receive_ipv4(ipv4(peer, broadcast_address(), IPPROTO_ICMP, request));
    EXPECT_TRUE(eth.sent.empty()) << "not to a broadcast";
    request[9] ^= 1;
    receive_ipv4(ipv4(peer, ours, IPPROTO_ICMP, request));
    EXPECT_TRUE(eth.sent.empty());
    EXPECT_EQ(icmp_counters(true).in_checksum_errors, 1u);
}

TEST_F(Ipv4Test, Rfc1122Section3_2_1_BadHeadersAreDropped) {
    introduce_peer();
    Bytes good = ipv4(peer, ours, kTestProtocol, pattern(30));
    receive_ipv4(good + Bytes(16, 0xee));
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].payload, pattern(30)) << "the link's padding is cut off";
    received.clear();
    Bytes bad_sum = good, bad_version = good, too_short = slice(good, 0, 40);
    bad_sum[10] ^= 1;
    bad_version[0] = 0x65;
    receive_ipv4(bad_sum);
    receive_ipv4(bad_version);
    receive_ipv4(too_short);
    receive_ipv4(ipv4(IpAddress::loopback_v4(), ours, kTestProtocol, {1}));
    receive_ipv4(ipv4(IpAddress::v4(224, 1, 1, 1), ours, kTestProtocol, {1}));
    receive_ipv4(ipv4(peer, IpAddress::v4(10, 0, 2, 99), kTestProtocol, {1}));
    receive(from_peer(0x0800, {{0x52, 0x54, 0, 9, 9, 9}}) + good);
    EXPECT_TRUE(received.empty());
    EXPECT_TRUE(eth.sent.empty());
}

TEST_F(Ipv4Test, Rfc791Section3_1_OptionsAreSkippedAndSourceRoutesRefused) {
    introduce_peer();
    receive_ipv4(ipv4(peer, ours, kTestProtocol, {9}, 0, 1, {1, 1, 1, 0}));
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].payload, Bytes{9});
    receive_ipv4(ipv4(peer, ours, kTestProtocol, {9}, 0, 1, {131, 7, 4, 1, 2, 3, 4, 0}));
    receive_ipv4(ipv4(peer, ours, kTestProtocol, {9}, 0, 1, {7, 40, 4, 0}));
    EXPECT_EQ(received.size(), 1u);
}

TEST_F(Ipv4Test, Rfc1122Section3_2_2_1_UnknownProtocolsAreToldWithinLimits) {
    introduce_peer();
    Bytes packet = ipv4(peer, ours, 200, pattern(40));
    receive_ipv4(packet);
    Bytes error = take_sent();
    ASSERT_GE(error.size(), 28u);
    EXPECT_EQ(error[20], ICMP_DEST_UNREACH);
    EXPECT_EQ(error[21], ICMP_PROT_UNREACH);
    EXPECT_EQ(slice(error, 28, 999), packet) << "it quotes the packet";
    for (int i = 0; i < 1000; i++) receive_ipv4(packet);
    EXPECT_LE(eth.sent.size(), 50u);
    EXPECT_GT(icmp_counters(true).out_rate_limited, 900u);
}

TEST_F(Ipv4Test, Rfc1122Section3_2_2_NoErrorsAboutErrorsOrGroups) {
    introduce_peer();
    Bytes inner = ipv4(ours, peer, 200, pattern(16));
    receive_ipv4(ipv4(peer, ours, IPPROTO_ICMP, icmp(Bytes{3, 2, 0, 0, 0, 0, 0, 0} + inner)));
    receive_ipv4(ipv4(peer, broadcast_address(), 200, pattern(16)));
    receive_ipv4(ipv4(IpAddress::any_v4(), ours, 200, pattern(16)));
    EXPECT_TRUE(eth.sent.empty());
}

TEST_F(Ipv4Test, Rfc1122Section3_2_2_1_ErrorsReachTheProtocol) {
    Bytes inner = ipv4(ours, peer, kTestProtocol, pattern(16));
    receive_ipv4(ipv4(far, ours, IPPROTO_ICMP, icmp(Bytes{3, 3, 0, 0, 0, 0, 0, 0} + inner)));
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].error, ECONNREFUSED);
    EXPECT_TRUE(errors[0].is_fatal);
    EXPECT_EQ(errors[0].destination, peer);
    EXPECT_EQ(errors[0].offender, far);
    Bytes not_ours = ipv4(far, peer, kTestProtocol, pattern(16));
    receive_ipv4(ipv4(far, ours, IPPROTO_ICMP, icmp(Bytes{3, 3, 0, 0, 0, 0, 0, 0} + not_ours)));
    EXPECT_EQ(errors.size(), 1u) << "we sent no such thing";
}

TEST_F(Ipv4Test, Rfc1191Section3_PathMtuIsLearntAndForgotten) {
    introduce_peer();
    IpOutput how{.dont_fragment = true};
    ASSERT_TRUE(send(far, pattern(1400), how).ok());
    Bytes packet = take_sent();
    receive_ipv4(ipv4(peer, ours, IPPROTO_ICMP,
                      icmp(Bytes{3, 4, 0, 0, 0, 0} + be16(1000) + slice(packet, 0, 28))));
    ASSERT_EQ(errors.size(), 1u);
    EXPECT_EQ(errors[0].error, EMSGSIZE);
    EXPECT_EQ(errors[0].mtu, 1000u);
    EXPECT_EQ(send(far, pattern(1400), how).error_code(), EMSGSIZE);
    EXPECT_EQ(find_route(far, {}, 0)->mtu, 1000u);
    advance_clock(601 * kSecond);
    routes_changed();
    EXPECT_EQ(find_route(far, {}, 0)->mtu, 1500u);
    note_path_mtu(far, 68);
    EXPECT_EQ(find_route(far, {}, 0)->mtu, 552u) << "nobody may ask for crumbs";
}

TEST_F(Ipv4Test, Rfc791Section3_2_LargePacketsLeaveInFragments) {
    introduce_peer();
    ASSERT_TRUE(send(peer, pattern(4000), {.dont_fragment = false}).ok());
    ASSERT_EQ(eth.sent.size(), 3u);
    std::vector<Bytes> fragments;
    Bytes whole;
    while (!eth.sent.empty()) {
        Bytes fragment = take_sent();
        EXPECT_LE(fragment.size(), 1500u);
        EXPECT_EQ(checksum_of(fragment.data(), 20), 0);
        whole = whole + slice(fragment, 20, 9999);
        fragments.push_back(fragment);
    }
    EXPECT_EQ(whole, pattern(4000));
    EXPECT_EQ(read_be16(&fragments[1][6]), 0x2000 | 1480 / 8);
    EXPECT_EQ(read_be16(&fragments[2][6]), 2960 / 8);
    EXPECT_EQ(read_be16(&fragments[0][4]), read_be16(&fragments[2][4]));
    EXPECT_EQ(send(peer, pattern(4000), {.dont_fragment = true}).error_code(), EMSGSIZE);
}

TEST_F(Ipv4Test, Rfc791Section3_2_FragmentsJoinInAnyOrder) {
    Bytes payload = pattern(3000);
    struct Piece {
        size_t at, size;
    };
    std::vector<Piece> pieces = {{0, 1000}, {1000, 800}, {1800, 1200}};
    std::sort(pieces.begin(), pieces.end(), [](auto& a, auto& b) { return a.at < b.at; });
    do {
        received.clear();
        for (const Piece& piece : pieces) {
            bool more = piece.at + piece.size < payload.size();
            Bytes packet = ipv4(peer, ours, kTestProtocol, slice(payload, piece.at, piece.size),
                                static_cast<uint16_t>(piece.at / 8 | (more ? 0x2000 : 0)), 42);
            receive_ipv4(packet);
            receive_ipv4(received.empty() ? packet : Bytes{});
        }
        ASSERT_EQ(received.size(), 1u);
        EXPECT_EQ(received[0].payload, payload);
        EXPECT_EQ(reassembly_memory(), 0u);
    } while (std::next_permutation(pieces.begin(), pieces.end(),
                                   [](auto& a, auto& b) { return a.at < b.at; }));
}

TEST_F(Ipv4Test, Rfc5722_OverlappingFragmentsAreDropped) {
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(800), 0x2000, 7));
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(800), 0x2000 | 50, 7));
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(100), 100, 7));
    EXPECT_TRUE(received.empty());
    EXPECT_EQ(total_counters().ip4.reassembly_failed, 1u);
}

TEST_F(Ipv4Test, Rfc791Section3_2_TooLongOrOddFragmentsAreDropped) {
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(801), 0x2000, 7));
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(800), 8191, 8));
    EXPECT_EQ(reassembly_memory(), 0u);
    // The end may not move.
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(80), 100, 9));
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(80), 200, 9));
    EXPECT_EQ(reassembly_memory(), 0u);
}

TEST_F(Ipv4Test, Rfc1122Section3_3_2_LateFragmentsTimeOut) {
    introduce_peer();
    receive_ipv4(ipv4(peer, ours, kTestProtocol, pattern(800), 0x2000, 7));
    EXPECT_GT(reassembly_memory(), 0u);
    advance_clock(31 * kSecond);
    EXPECT_EQ(reassembly_memory(), 0u);
    EXPECT_EQ(total_counters().ip4.reassembly_timeouts, 1u);
    Bytes error = take_sent();
    ASSERT_GE(error.size(), 22u);
    EXPECT_EQ(error[20], ICMP_TIME_EXCEEDED);
    EXPECT_EQ(error[21], ICMP_EXC_FRAGTIME);
}

TEST_F(Ipv4Test, Rfc1858_FragmentFloodIsBounded) {
    for (uint32_t i = 0; i < 20000; i++) {
        uint16_t place = static_cast<uint16_t>(0x2000 | (i % 40) * 185);
        receive_ipv4(
            ipv4(peer, ours, kTestProtocol, pattern(1480), place, static_cast<uint16_t>(i / 30)));
        ASSERT_LE(reassembly_memory(), kMaxReassemblyMemory + 65536);
    }
}

TEST_F(Ipv4Test, Rfc1812Section5_2_4_TheLongestPrefixWins) {
    IpAddress near_gateway = IpAddress::v4(10, 0, 2, 9);
    RouteEntry narrow{.destination = IpAddress::v4(192, 0, 2, 0),
                      .prefix_length = 24,
                      .gateway = near_gateway,
                      .interface = &eth,
                      .source = IpAddress::any_v4()};
    ASSERT_TRUE(add_route(narrow).ok());
    EXPECT_EQ(find_route(far, {}, 0)->next_hop, near_gateway);
    EXPECT_EQ(find_route(IpAddress::v4(198, 51, 100, 1), {}, 0)->next_hop, peer);
    EXPECT_EQ(find_route(peer, {}, 0)->next_hop, peer) << "on the link";
    EXPECT_EQ(find_route(far, {}, 0)->source, ours);
    remove_route(narrow.destination, 24, &eth, near_gateway);
    EXPECT_EQ(find_route(far, {}, 0)->next_hop, peer);
    remove_route(IpAddress::any_v4(), 0, &eth, peer);
    EXPECT_EQ(find_route(far, {}, 0).error_code(), ENETUNREACH);
    EXPECT_TRUE(find_route(broadcast_address(), {}, 0)->is_broadcast);
}

TEST_F(Ipv4Test, Rfc1112_GroupsAreHeardWhenJoinedAndReported) {
    IpAddress group = IpAddress::v4(239, 1, 2, 3);
    Bytes packet = ipv4(peer, group, kTestProtocol, {5});
    receive(from_peer(0x0800, ethernet_group(group)) + packet);
    EXPECT_TRUE(received.empty());
    {
        NetworkScope scope;
        ASSERT_TRUE(eth.join_group(group).ok());
    }
    MacAddress to;
    Bytes report = take_sent(nullptr, &to);
    ASSERT_EQ(report.size(), 40u) << "IGMPv3 with the router alert option";
    EXPECT_EQ(to, ethernet_group(IpAddress::v4(224, 0, 0, 22)));
    EXPECT_EQ(report[24], 0x22);
    EXPECT_EQ(report[32], 4) << "change to exclude nothing";
    receive(from_peer(0x0800, ethernet_group(group)) + packet);
    ASSERT_EQ(received.size(), 1u);
    EXPECT_TRUE(received[0].how.is_broadcast);
    ASSERT_TRUE(send(group, {6}).ok());
    EXPECT_EQ(received.size(), 2u) << "what we send comes back";
    EXPECT_EQ(eth.sent.size(), 1u);
}

}  // namespace
}  // namespace coracle::net
