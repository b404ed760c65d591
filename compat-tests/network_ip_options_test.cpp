// Options of IPPROTO_IP and IPPROTO_IPV6 by what they do over the loopback interface: man 7 ip,
// man 7 ipv6, RFC 5082 (the least hop limit).
#include <gtest/gtest.h>
#include <linux/in6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "expect_errno.h"
#include "inet_support.h"

namespace {

constexpr int kReceiveFragmentSize = 25, kReceiveFragmentSizeV6 = 77;

int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value));
}

// Counts of /proc/net/netstat, whose lines come in pairs.
unsigned long netstat(const std::string& wanted) {
    std::ifstream file("/proc/net/netstat");
    std::string names, values, name, value;
    while (getline(file, names) && getline(file, values)) {
        std::istringstream name_stream(names), value_stream(values);
        while (name_stream >> name && value_stream >> value) {
            if (name == wanted) return std::stoul(value);
        }
    }
    ADD_FAILURE() << "no " << wanted;
    return 0;
}

// A datagram socket on the loopback address, at a port of its own.
Descriptor open_datagram(int family, sockaddr_storage& address, socklen_t& length) {
    Descriptor fd(socket(family, SOCK_DGRAM, 0));
    address = loopback_of(family);
    length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
    return fd;
}

TEST(IpOptions, FragmentsOfIpv6AreLimitedAndTold) {
    sockaddr_storage address;
    socklen_t length;
    Descriptor receiver = open_datagram(AF_INET6, address, length);
    ASSERT_EQ(set(receiver, IPPROTO_IPV6, kReceiveFragmentSizeV6, 1), 0);
    Descriptor sender(socket(AF_INET6, SOCK_DGRAM, 0));
    EXPECT_ERRNO(EINVAL, set(sender, IPPROTO_IPV6, IPV6_MTU, 1279));
    ASSERT_EQ(set(sender, IPPROTO_IPV6, IPV6_MTU, 1280), 0);
    int value;
    socklen_t value_length = sizeof(value);
    EXPECT_ERRNO(ENOTCONN, getsockopt(sender, IPPROTO_IPV6, IPV6_MTU, &value, &value_length));
    const std::string sent(65500, 'x');  // does not fit the interface's MTU
    ASSERT_EQ(
        sendto(sender, sent.data(), sent.size(), 0, reinterpret_cast<sockaddr*>(&address), length),
        65500);
    std::string text(65536, '\0');
    EXPECT_EQ(receive_with_control<int>(receiver, text, IPPROTO_IPV6, kReceiveFragmentSizeV6),
              1280);
    EXPECT_EQ(text, sent);
}

TEST(IpOptions, WholeDatagramsHaveNoFragmentSize) {
    sockaddr_storage address;
    socklen_t length;
    Descriptor receiver = open_datagram(AF_INET6, address, length);
    ASSERT_EQ(set(receiver, IPPROTO_IPV6, kReceiveFragmentSizeV6, 1), 0);
    ASSERT_EQ(sendto(receiver, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), length), 1);
    EXPECT_FALSE(receives_control(receiver, MSG_DONTWAIT));
}

// Two fragments of an IPv4 datagram, made by hand.
TEST(IpOptions, FragmentsOfIpv4AreTold) {
    if (geteuid() != 0) GTEST_SKIP() << "raw sockets need root";
    sockaddr_storage address;
    socklen_t length;
    Descriptor receiver = open_datagram(AF_INET, address, length);
    ASSERT_EQ(set(receiver, IPPROTO_IP, kReceiveFragmentSize, 1), 0);
    Descriptor raw(socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
    ASSERT_GE(raw, 0);
    const auto& to = reinterpret_cast<sockaddr_in&>(address);
    std::string datagram(40, 'x');
    udphdr udp{};
    udp.uh_sport = htons(9);
    udp.uh_dport = to.sin_port;
    udp.uh_ulen = htons(40);
    memcpy(datagram.data(), &udp, sizeof(udp));
    for (size_t at : {size_t{0}, size_t{24}}) {
        const std::string part = datagram.substr(at, at ? 16 : 24);
        iphdr ip{};
        ip.version = 4;
        ip.ihl = 5;
        ip.id = htons(static_cast<uint16_t>(getpid()));
        ip.frag_off = htons(static_cast<uint16_t>(at ? at / 8 : IP_MF));
        ip.ttl = 9;
        ip.protocol = IPPROTO_UDP;
        ip.saddr = ip.daddr = to.sin_addr.s_addr;
        const std::string packet = std::string(reinterpret_cast<char*>(&ip), sizeof(ip)) + part;
        ASSERT_EQ(sendto(raw, packet.data(), packet.size(), 0,
                         reinterpret_cast<sockaddr*>(&address), length),
                  static_cast<ssize_t>(packet.size()));
    }
    std::string text(100, '\0');
    EXPECT_EQ(receive_with_control<int>(receiver, text, IPPROTO_IP, kReceiveFragmentSize), 44);
    EXPECT_EQ(text, std::string(32, 'x'));
}

TEST(IpOptions, OriginalDestinationOfIpv6) {
    sockaddr_storage address;
    socklen_t length;
    Descriptor receiver = open_datagram(AF_INET6, address, length);
    ASSERT_EQ(set(receiver, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1), 0);
    ASSERT_EQ(sendto(receiver, "x", 1, 0, reinterpret_cast<sockaddr*>(&address), length), 1);
    std::string text(10, '\0');
    auto original =
        receive_with_control<sockaddr_in6>(receiver, text, IPPROTO_IPV6, IPV6_ORIGDSTADDR);
    EXPECT_EQ(memcmp(&original, &address, sizeof(original)), 0);
}

TEST(IpOptions, AddressPreferencesExcludeOneAnother) {
    Descriptor fd(socket(AF_INET6, SOCK_DGRAM, 0));
    auto shown = [&] {
        int value = -1;
        socklen_t length = sizeof(value);
        EXPECT_EQ(getsockopt(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, &value, &length), 0);
        return value;
    };
    auto choose = [&](int value) { return set(fd, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, value); };
    EXPECT_EQ(shown(), IPV6_PREFER_SRC_PUBTMP_DEFAULT | IPV6_PREFER_SRC_HOME);
    EXPECT_EQ(choose(IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_COA), 0);
    EXPECT_EQ(shown(), IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_COA);
    EXPECT_EQ(choose(IPV6_PREFER_SRC_PUBLIC), 0);
    EXPECT_EQ(shown(), IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_HOME);
    EXPECT_ERRNO(EINVAL, choose(IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP));
    EXPECT_ERRNO(EINVAL, choose(IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA));
    EXPECT_ERRNO(EINVAL, choose(IPV6_PREFER_SRC_CGA | IPV6_PREFER_SRC_NONCGA));
    EXPECT_EQ(choose(IPV6_PREFER_SRC_PUBTMP_DEFAULT | IPV6_PREFER_SRC_HOME), 0);
    EXPECT_EQ(shown(), IPV6_PREFER_SRC_PUBTMP_DEFAULT | IPV6_PREFER_SRC_HOME);
}

// An address that nobody has (RFC 5737), behind a gateway if there is one.
TEST(IpOptions, DontRouteStaysOnTheLink) {
    sockaddr_in far = loopback(9);
    far.sin_addr.s_addr = htonl(0xc6336401);
    Descriptor datagrams(socket(AF_INET, SOCK_DGRAM, 0));
    EXPECT_ERRNO(ENETUNREACH, sendto(datagrams, "x", 1, MSG_DONTROUTE, as_any(far), sizeof(far)));
    sockaddr_in near = loopback(9);
    EXPECT_EQ(sendto(datagrams, "x", 1, MSG_DONTROUTE, as_any(near), sizeof(near)), 1);
    for (int type : {SOCK_DGRAM, SOCK_STREAM}) {
        Descriptor fd(socket(AF_INET, type | SOCK_NONBLOCK, 0));
        ASSERT_EQ(set(fd, SOL_SOCKET, SO_DONTROUTE, 1), 0);
        EXPECT_ERRNO(ENETUNREACH, connect(fd, as_any(far), sizeof(far)));
    }
}

TEST(IpOptions, ErrorQueueIsUrgentWhenAskedFor) {
    sockaddr_storage address;
    socklen_t length;
    Descriptor closed = open_datagram(AF_INET, address, length);
    closed.reset();
    Descriptor fd(socket(AF_INET, SOCK_DGRAM, 0));
    ASSERT_EQ(set(fd, IPPROTO_IP, IP_RECVERR, 1), 0);
    ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(send(fd, "x", 1, 0), 1);
    EXPECT_EQ(events_of(fd, POLLPRI), POLLERR);
    ASSERT_EQ(set(fd, SOL_SOCKET, SO_SELECT_ERR_QUEUE, 1), 0);
    EXPECT_EQ(events_of(fd, POLLPRI), POLLERR | POLLPRI);
}

struct LeastHops {
    int family, level, option;
};
class LeastHopsTest : public testing::TestWithParam<LeastHops> {
  protected:
    void SetUp() override {
        const int family = GetParam().family;
        listener_.reset(socket(family, SOCK_STREAM, 0));
        client_.reset(socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0));
        address_ = loopback_of(family);
        length_ = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        ASSERT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address_), length_), 0);
        ASSERT_EQ(listen(listener_, 4), 0);
        ASSERT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &length_), 0);
    }
    int require_hops(int fd, int hops) {
        return set(fd, GetParam().level, GetParam().option, hops);
    }
    int connect_client() {
        return connect(client_, reinterpret_cast<sockaddr*>(&address_), length_);
    }

    Descriptor listener_, client_;
    sockaddr_storage address_;
    socklen_t length_;
};

TEST_P(LeastHopsTest, ListenerDoesNotHearOthers) {
    EXPECT_ERRNO(EINVAL, require_hops(listener_, 256));
    ASSERT_EQ(require_hops(listener_, 65), 0);  // loopback packets start with 64
    const unsigned long before = netstat("TCPMinTTLDrop");
    EXPECT_ERRNO(EINPROGRESS, connect_client());
    EXPECT_EQ(events_of(client_, POLLOUT, 50), 0);
    EXPECT_GT(netstat("TCPMinTTLDrop"), before);
    // It is heard when it is sent again.
    ASSERT_EQ(require_hops(listener_, 64), 0);
    EXPECT_EQ(events_of(client_, POLLOUT), POLLOUT);
    EXPECT_EQ(error_of(client_), 0);
}

TEST_P(LeastHopsTest, ConnectionDoesNotHearOthers) {
    connect_client();
    EXPECT_EQ(events_of(client_, POLLOUT), POLLOUT);
    Descriptor server(accept(listener_, nullptr, nullptr));
    ASSERT_GE(server, 0);
    ASSERT_EQ(require_hops(server, 255), 0);
    EXPECT_EQ(send(client_, "x", 1, 0), 1);
    EXPECT_EQ(events_of(server, POLLIN, 50), 0);
    ASSERT_EQ(require_hops(server, 0), 0);
    EXPECT_EQ(events_of(server, POLLIN), POLLIN);
}

INSTANTIATE_TEST_SUITE_P(Families, LeastHopsTest,
                         testing::Values(LeastHops{AF_INET, IPPROTO_IP, IP_MINTTL},
                                         LeastHops{AF_INET6, IPPROTO_IPV6, IPV6_MINHOPCOUNT}));

}  // namespace
