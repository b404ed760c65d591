// What getsockopt(2) says of each socket option of Linux 6.1 that is there, before and after it was
// set to 1 and to 0: defaults, limits, and errors.
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <sstream>

#include "sockets_support.h"

namespace {

// Not in the C library's headers, or under another name.
constexpr int kBindToInterfaceIndex = 62;
constexpr int kBufferLock = 72;
constexpr int kDetachReuseportBpf = 68;
constexpr int kFreebindV6 = 78;
constexpr int kIcmpFilter = 1;
constexpr int kMulticastAllV6 = 29;
constexpr int kNetworkCookie = 71;
constexpr int kReceiveFragmentSize = 25;
constexpr int kReceiveFragmentSizeV6 = 77;
constexpr int kReceiveTimeoutNew = 66;
constexpr int kReceiveTimeoutOld = 20;
constexpr int kReserveMemory = 73;
constexpr int kSendTimeoutNew = 67;
constexpr int kSendTimeoutOld = 21;
constexpr int kStrictCheck = 12;
constexpr int kTimestampNew = 63;
constexpr int kTimestampNsNew = 64;
constexpr int kTimestampNsOld = 35;
constexpr int kTimestampOld = 29;
constexpr int kTimestampingOld = 37;
constexpr int kUdpCork = 1;
constexpr int kUdpGro = 104;
constexpr int kUdpSegment = 103;

const char* const kAll = "tcp4 tcp6 udp4 udp6 unix netlink packet";
const char* const kInet = "tcp4 tcp6 udp4 udp6";
const char* const kIpv4 = "tcp4 tcp6 udp4 udp6 raw4";  // what has IPv4's options
const char* const kIpv6 = "tcp6 udp6 raw6";
const char* const kTcp = "tcp4 tcp6";
const char* const kUdp = "udp4 udp6";

struct Row {
    const char* sockets;
    int level, option;
    // What it reads, what setting 1 gives, what it reads then; the same for 0. A value that is not
    // an int is its size and its bytes without the zeros behind.
    const char* expected;
};
// Not here: what depends on the machine's limits, and what newer kernels do otherwise.
constexpr Row kRows[] = {
    {kAll, SOL_SOCKET, SO_DEBUG, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_REUSEADDR, "0 ok 1 ok 0"},
    {"tcp4 tcp6 unix", SOL_SOCKET, SO_TYPE, "1 ENOPROTOOPT 1 ENOPROTOOPT 1"},
    {kUdp, SOL_SOCKET, SO_TYPE, "2 ENOPROTOOPT 2 ENOPROTOOPT 2"},
    {"netlink packet", SOL_SOCKET, SO_TYPE, "3 ENOPROTOOPT 3 ENOPROTOOPT 3"},
    {kAll, SOL_SOCKET, SO_ERROR, "0 ENOPROTOOPT 0 ENOPROTOOPT 0"},
    {kAll, SOL_SOCKET, SO_DONTROUTE, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_BROADCAST, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_KEEPALIVE, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_OOBINLINE, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_NO_CHECK, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_PRIORITY, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_LINGER, "(8) EINVAL (8) EINVAL (8)"},
    {kAll, SOL_SOCKET, SO_BSDCOMPAT, "0 ok 0 ok 0"},
    {kInet, SOL_SOCKET, SO_REUSEPORT, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_RCVLOWAT, "1 ok 1 ok 1"},
    {kAll, SOL_SOCKET, SO_SNDLOWAT, "1 ENOPROTOOPT 1 ENOPROTOOPT 1"},
    {kAll, SOL_SOCKET, kReceiveTimeoutOld, "(16) EINVAL (16) EINVAL (16)"},
    {kAll, SOL_SOCKET, kSendTimeoutOld, "(16) EINVAL (16) EINVAL (16)"},
    {kAll, SOL_SOCKET, SO_BINDTODEVICE, "(0) ENODEV (0) ok (0)"},
    {kAll, SOL_SOCKET, SO_ATTACH_FILTER, "(0) EINVAL (0) EINVAL (0)"},
    {kAll, SOL_SOCKET, SO_DETACH_FILTER, "ENOPROTOOPT ENOENT ENOPROTOOPT ENOENT ENOPROTOOPT"},
    {"tcp4 tcp6 udp4 udp6 unix packet", SOL_SOCKET, SO_PEERNAME,
     "ENOTCONN ENOPROTOOPT ENOTCONN ENOPROTOOPT ENOTCONN"},
    {"netlink", SOL_SOCKET, SO_PEERNAME, "EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL"},
    {kAll, SOL_SOCKET, kTimestampOld, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_ACCEPTCONN, "0 ENOPROTOOPT 0 ENOPROTOOPT 0"},
    {kAll, SOL_SOCKET, kTimestampNsOld, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_MARK, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, kTimestampingOld, "(8) ok (8)01 ok (8)"},
    {kTcp, SOL_SOCKET, SO_PROTOCOL, "6 ENOPROTOOPT 6 ENOPROTOOPT 6"},
    {kUdp, SOL_SOCKET, SO_PROTOCOL, "17 ENOPROTOOPT 17 ENOPROTOOPT 17"},
    {"unix netlink packet", SOL_SOCKET, SO_PROTOCOL, "0 ENOPROTOOPT 0 ENOPROTOOPT 0"},
    {"tcp4 udp4", SOL_SOCKET, SO_DOMAIN, "2 ENOPROTOOPT 2 ENOPROTOOPT 2"},
    {"tcp6 udp6", SOL_SOCKET, SO_DOMAIN, "10 ENOPROTOOPT 10 ENOPROTOOPT 10"},
    {"unix", SOL_SOCKET, SO_DOMAIN, "1 ENOPROTOOPT 1 ENOPROTOOPT 1"},
    {"netlink", SOL_SOCKET, SO_DOMAIN, "16 ENOPROTOOPT 16 ENOPROTOOPT 16"},
    {"packet", SOL_SOCKET, SO_DOMAIN, "17 ENOPROTOOPT 17 ENOPROTOOPT 17"},
    {kAll, SOL_SOCKET, SO_RXQ_OVFL, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_WIFI_STATUS, "0 ok 1 ok 0"},
    {"unix", SOL_SOCKET, SO_PEEK_OFF, "-1 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_NOFCS, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_LOCK_FILTER, "0 ok 1 EPERM 1"},
    {kAll, SOL_SOCKET, SO_SELECT_ERR_QUEUE, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_BUSY_POLL, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_MAX_PACING_RATE, "(8)ffffffffffffffff ok (8)01 ok (8)"},
    {kAll, SOL_SOCKET, SO_BPF_EXTENSIONS, "64 ENOPROTOOPT 64 ENOPROTOOPT 64"},
    {kAll, SOL_SOCKET, SO_INCOMING_CPU, "-1 ok 1 ok 0"},
    {kAll, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kAll, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kAll, SOL_SOCKET, SO_CNX_ADVICE, "ENOPROTOOPT ok ENOPROTOOPT ok ENOPROTOOPT"},
    {kAll, SOL_SOCKET, SO_PEERGROUPS, "ENODATA ENOPROTOOPT ENODATA ENOPROTOOPT ENODATA"},
    {kInet, SOL_SOCKET, SO_ZEROCOPY, "0 ok 1 ok 0"},
    {"unix netlink packet", SOL_SOCKET, SO_ZEROCOPY, "0 EOPNOTSUPP 0 EOPNOTSUPP 0"},
    {kAll, SOL_SOCKET, kBindToInterfaceIndex, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, kTimestampNew, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, kTimestampNsNew, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, kReceiveTimeoutNew, "(16) EINVAL (16) EINVAL (16)"},
    {kAll, SOL_SOCKET, kSendTimeoutNew, "(16) EINVAL (16) EINVAL (16)"},
    {kAll, SOL_SOCKET, kDetachReuseportBpf, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kAll, SOL_SOCKET, kNetworkCookie, "EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL"},
    {kAll, SOL_SOCKET, kBufferLock, "0 ok 1 ok 0"},
    {kAll, SOL_SOCKET, kReserveMemory, "0 EOPNOTSUPP 0 EOPNOTSUPP 0"},
    {kTcp, IPPROTO_IP, IP_TOS, "0 ok 0 ok 0"},
    {"udp4 udp6 raw4", IPPROTO_IP, IP_TOS, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_TTL, "64 ok 1 EINVAL 1"},
    {kInet, IPPROTO_IP, IP_HDRINCL, "0 ENOPROTOOPT 0 ENOPROTOOPT 0"},
    {kIpv4, IPPROTO_IP, IP_PKTINFO, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_MTU_DISCOVER, "1 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_RECVERR, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_RECVTTL, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_RECVTOS, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_MTU, "ENOTCONN ENOPROTOOPT ENOTCONN ENOPROTOOPT ENOTCONN"},
    {kIpv4, IPPROTO_IP, IP_FREEBIND, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_PASSSEC, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_TRANSPARENT, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_ORIGDSTADDR, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_MINTTL, "0 ok 1 ok 0"},
    {kInet, IPPROTO_IP, IP_NODEFRAG, "0 ENOPROTOOPT 0 ENOPROTOOPT 0"},
    {"raw4", IPPROTO_IP, IP_NODEFRAG, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_CHECKSUM, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_IP, kReceiveFragmentSize, "0 EINVAL 0 EINVAL 0"},
    {"udp4 udp6 raw4", IPPROTO_IP, kReceiveFragmentSize, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_IP, IP_MULTICAST_IF, "0 EINVAL 0 EINVAL 0"},
    {"udp4 udp6 raw4", IPPROTO_IP, IP_MULTICAST_IF, "0 EADDRNOTAVAIL 0 ok 0"},
    {kTcp, IPPROTO_IP, IP_MULTICAST_TTL, "1 EINVAL 1 EINVAL 1"},
    {"udp4 udp6 raw4", IPPROTO_IP, IP_MULTICAST_TTL, "1 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_MULTICAST_LOOP, "1 ok 1 ok 0"},
    {kTcp, IPPROTO_IP, IP_ADD_MEMBERSHIP, "ENOPROTOOPT EPROTO ENOPROTOOPT EPROTO ENOPROTOOPT"},
    {"udp4 udp6 raw4", IPPROTO_IP, IP_ADD_MEMBERSHIP,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kTcp, IPPROTO_IP, IP_DROP_MEMBERSHIP, "ENOPROTOOPT EPROTO ENOPROTOOPT EPROTO ENOPROTOOPT"},
    {"udp4 udp6 raw4", IPPROTO_IP, IP_DROP_MEMBERSHIP,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kIpv4, IPPROTO_IP, MCAST_JOIN_GROUP, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kIpv4, IPPROTO_IP, MCAST_LEAVE_GROUP, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"tcp4 udp4 raw4", IPPROTO_IP, IP_MULTICAST_ALL, "1 ok 1 ok 0"},
    {"tcp6 udp6", IPPROTO_IP, IP_MULTICAST_ALL, "0 ok 1 ok 0"},
    {kIpv4, IPPROTO_IP, IP_UNICAST_IF, "0 EADDRNOTAVAIL 0 ok 0"},
    {"raw6", IPPROTO_IPV6, IPV6_CHECKSUM, "2 EINVAL 2 EINVAL 2"},
    {kIpv6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, "64 ok 1 ok 0"},
    {"tcp6", IPPROTO_IPV6, IPV6_MULTICAST_IF, "0 ENOPROTOOPT 0 ENOPROTOOPT 0"},
    {"udp6 raw6", IPPROTO_IPV6, IPV6_MULTICAST_IF, "0 ok 1 ok 0"},
    {"tcp6", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, "1 ENOPROTOOPT 1 ENOPROTOOPT 1"},
    {"udp6 raw6", IPPROTO_IPV6, IPV6_MULTICAST_HOPS, "1 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, "1 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kIpv6, IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kIpv6, IPPROTO_IPV6, IPV6_MTU_DISCOVER, "1 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_RECVERR, "0 ok 1 ok 0"},
    {"tcp6 udp6", IPPROTO_IPV6, IPV6_V6ONLY, "0 ok 1 ok 0"},
    {"raw6", IPPROTO_IPV6, IPV6_V6ONLY, "0 EINVAL 0 EINVAL 0"},
    {kIpv6, IPPROTO_IPV6, kMulticastAllV6, "1 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, MCAST_JOIN_GROUP, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kIpv6, IPPROTO_IPV6, MCAST_LEAVE_GROUP, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {kIpv6, IPPROTO_IPV6, IPV6_RECVPKTINFO, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, "1280 ok 1025 ok 1280"},
    {kIpv6, IPPROTO_IPV6, IPV6_MINHOPCOUNT, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, kReceiveFragmentSizeV6, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_RECVTCLASS, "0 ok 1 ok 0"},
    {"tcp6", IPPROTO_IPV6, IPV6_TCLASS, "0 ok 0 ok 0"},
    {"udp6 raw6", IPPROTO_IPV6, IPV6_TCLASS, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_ORIGDSTADDR, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_TRANSPARENT, "0 ok 1 ok 0"},
    {kIpv6, IPPROTO_IPV6, IPV6_UNICAST_IF, "0 EADDRNOTAVAIL 0 ok 0"},
    {kIpv6, IPPROTO_IPV6, kFreebindV6, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_NODELAY, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_MAXSEG, "536 EINVAL 536 ok 536"},
    {kTcp, IPPROTO_TCP, TCP_CORK, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_KEEPIDLE, "7200 ok 1 EINVAL 1"},
    {kTcp, IPPROTO_TCP, TCP_KEEPINTVL, "75 ok 1 EINVAL 1"},
    {kTcp, IPPROTO_TCP, TCP_KEEPCNT, "9 ok 1 EINVAL 1"},
    {kTcp, IPPROTO_TCP, TCP_SYNCNT, "6 ok 1 EINVAL 1"},
    {kTcp, IPPROTO_TCP, TCP_LINGER2, "60 ok 1 ok 60"},
    {kTcp, IPPROTO_TCP, TCP_DEFER_ACCEPT, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_WINDOW_CLAMP, "0 ok 1152 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_THIN_DUPACK, "0 ok 0 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_USER_TIMEOUT, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_FASTOPEN, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_NOTSENT_LOWAT, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, "0 ok 1 ok 0"},
    {kTcp, IPPROTO_TCP, TCP_ULP, "(0) ENOENT (0) ENOENT (0)"},
    {kUdp, IPPROTO_UDP, kUdpCork, "0 ok 1 ok 0"},
    {kUdp, IPPROTO_UDP, kUdpSegment, "0 ok 1 ok 0"},
    {kUdp, IPPROTO_UDP, kUdpGro, "0 ok 1 ok 0"},
    {"raw4", SOL_RAW, kIcmpFilter, "0 ok 1 ok 0"},
    {"raw6", IPPROTO_ICMPV6, kIcmpFilter, "(32) ok (32)01 ok (32)"},
    {"packet", SOL_PACKET, PACKET_ADD_MEMBERSHIP,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"packet", SOL_PACKET, PACKET_DROP_MEMBERSHIP,
     "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"packet", SOL_PACKET, PACKET_RX_RING, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"packet", SOL_PACKET, PACKET_STATISTICS, "(8) ENOPROTOOPT (8) ENOPROTOOPT (8)"},
    {"packet", SOL_PACKET, PACKET_AUXDATA, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_ORIGDEV, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_VERSION, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_HDRLEN, "32 ENOPROTOOPT 32 ENOPROTOOPT 32"},
    {"packet", SOL_PACKET, PACKET_RESERVE, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_TX_RING, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"packet", SOL_PACKET, PACKET_LOSS, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_VNET_HDR, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_TIMESTAMP, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_FANOUT, "0 EINVAL 0 EINVAL 0"},
    {"packet", SOL_PACKET, PACKET_TX_HAS_OFF, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_QDISC_BYPASS, "0 ok 1 ok 0"},
    {"packet", SOL_PACKET, PACKET_ROLLOVER_STATS, "EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL"},
    {"packet", SOL_PACKET, PACKET_FANOUT_DATA, "ENOPROTOOPT EINVAL ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"packet", SOL_PACKET, PACKET_IGNORE_OUTGOING, "0 ok 1 ok 0"},
    {"netlink", SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
     "ENOPROTOOPT ok ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"netlink", SOL_NETLINK, NETLINK_DROP_MEMBERSHIP,
     "ENOPROTOOPT ok ENOPROTOOPT EINVAL ENOPROTOOPT"},
    {"netlink", SOL_NETLINK, NETLINK_PKTINFO, "0 ok 1 ok 0"},
    {"netlink", SOL_NETLINK, NETLINK_BROADCAST_ERROR, "0 ok 1 ok 0"},
    {"netlink", SOL_NETLINK, NETLINK_NO_ENOBUFS, "0 ok 1 ok 0"},
    {"netlink", SOL_NETLINK, NETLINK_CAP_ACK, "0 ok 1 ok 0"},
    {"netlink", SOL_NETLINK, NETLINK_EXT_ACK, "0 ok 1 ok 0"},
    {"netlink", SOL_NETLINK, kStrictCheck, "0 ok 1 ok 0"},
};

int make_socket(const std::string& kind) {
    if (kind == "tcp4") return socket(AF_INET, SOCK_STREAM, 0);
    if (kind == "tcp6") return socket(AF_INET6, SOCK_STREAM, 0);
    if (kind == "udp4") return socket(AF_INET, SOCK_DGRAM, 0);
    if (kind == "udp6") return socket(AF_INET6, SOCK_DGRAM, 0);
    if (kind == "raw4") return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (kind == "raw6") return socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    if (kind == "unix") return socket(AF_UNIX, SOCK_STREAM, 0);
    if (kind == "netlink") return socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    return socket(AF_PACKET, SOCK_RAW, 0);
}

std::string value_of(int fd, int level, int option) {
    unsigned char bytes[64] = {};
    socklen_t length = sizeof(bytes);
    if (getsockopt(fd, level, option, bytes, &length) != 0) return strerrorname_np(errno);
    if (length == sizeof(int)) {
        int number;
        memcpy(&number, bytes, sizeof(number));
        return std::to_string(number);
    }
    std::string text = "(" + std::to_string(length) + ")";
    while (length > 0 && bytes[length - 1] == 0) length--;
    for (socklen_t i = 0; i < length; i++) {
        char digits[3];
        snprintf(digits, sizeof(digits), "%02x", bytes[i]);
        text += digits;
    }
    return text;
}

std::string result_of_set(int fd, int level, int option, int value) {
    if (set_option(fd, option, value, level) == 0) return "ok";
    return strerrorname_np(errno);
}

// For every kind of socket that the words name.
template <typename Visit>
void for_each_socket(const char* kinds, Visit visit) {
    std::istringstream words(kinds);
    for (std::string kind; words >> kind;) {
        Descriptor fd(make_socket(kind));
        if (fd < 0 && errno == EPERM) continue;  // of root alone
        ASSERT_GE(fd, 0) << kind << ": " << strerror(errno);
        visit(kind, fd);
    }
}

TEST(SocketOptionTable, EachIsAsOnLinux) {
    for (const Row& row : kRows) {
        for_each_socket(row.sockets, [&](const std::string& kind, int fd) {
            std::string seen = value_of(fd, row.level, row.option);
            for (int value : {1, 0}) {
                seen += " " + result_of_set(fd, row.level, row.option, value);
                seen += " " + value_of(fd, row.level, row.option);
            }
            EXPECT_EQ(seen, row.expected)
                << kind << ", level " << row.level << ", option " << row.option;
        });
    }
}

TEST(SocketOptionTable, LevelsOfOthers) {
    auto check = [](const char* kinds, int level, const char* get, const char* set) {
        for_each_socket(kinds, [&](const std::string& kind, int fd) {
            for (int option : {1, 2, 4, 14, 32, 35, 50}) {
                EXPECT_EQ(value_of(fd, level, option), get)
                    << kind << " " << level << " " << option;
                EXPECT_EQ(result_of_set(fd, level, option, 0), set)
                    << kind << " " << level << " " << option;
            }
        });
    };
    check("tcp4 udp4", IPPROTO_IPV6, "EOPNOTSUPP", "ENOPROTOOPT");
    check("tcp4", IPPROTO_UDP, "EOPNOTSUPP", "ENOPROTOOPT");
    check("udp4 raw4", IPPROTO_TCP, "EOPNOTSUPP", "ENOPROTOOPT");
    check("tcp6", IPPROTO_UDP, "ENOPROTOOPT", "ENOPROTOOPT");
    check("udp6 raw6", IPPROTO_TCP, "ENOPROTOOPT", "ENOPROTOOPT");
    check("raw6", IPPROTO_IP, "ENOPROTOOPT", "ENOPROTOOPT");
    check("tcp4 udp4", SOL_PACKET, "EOPNOTSUPP", "ENOPROTOOPT");
    check("tcp6 udp6 raw6", SOL_NETLINK, "ENOPROTOOPT", "ENOPROTOOPT");
    check("packet", IPPROTO_IP, "ENOPROTOOPT", "ENOPROTOOPT");
    check("netlink", IPPROTO_TCP, "ENOPROTOOPT", "ENOPROTOOPT");
    check("unix", IPPROTO_TCP, "EOPNOTSUPP", "EOPNOTSUPP");
}

}  // namespace
