// IPv4, ICMP and ARP, by the sections of their RFCs.
#include <linux/icmp.h>

#include "libposix/net/tests/stack_test.h"

namespace coracle::net {
namespace {

using Ipv4Test = StackTest;

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

}  // namespace
}  // namespace coracle::net
