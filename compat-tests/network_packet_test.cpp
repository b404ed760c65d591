// Packet sockets (man 7 packet), over the loopback interface.
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>

#include "inet_support.h"
#include "network_packet_support.h"

namespace {

template <typename T>
const sockaddr* any(const T& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}
template <typename T>
sockaddr* any(T& address) {
    return reinterpret_cast<sockaddr*>(&address);
}

struct Received {
    std::string bytes;
    sockaddr_ll from = {};
    socklen_t from_length = sizeof(sockaddr_ll);
    bool timed_out = false;
};
Received receive(int fd, int flags = 0) {
    Received received;
    pollfd ready = {fd, POLLIN, 0};
    if (poll(&ready, 1, 300) != 1) {
        received.timed_out = true;
        return received;
    }
    char bytes[70000];
    ssize_t size =
        recvfrom(fd, bytes, sizeof(bytes), flags, any(received.from), &received.from_length);
    if (size >= 0) received.bytes.assign(bytes, static_cast<size_t>(size));
    return received;
}

class Packet : public testing::Test {
  protected:
    void SetUp() override {
        Descriptor probe(socket(AF_PACKET, SOCK_RAW, 0));
        if (probe < 0 && errno == EPERM) GTEST_SKIP() << "packet sockets need CAP_NET_RAW";
    }
};

TEST_F(Packet, TypesAndErrors) {
    EXPECT_EQ(socket(AF_PACKET, SOCK_STREAM, 0), -1);
    EXPECT_EQ(errno, ESOCKTNOSUPPORT);
    Descriptor fd(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    ASSERT_GE(fd, 0);
    sockaddr_ll address = link_address(0, 9999);
    EXPECT_EQ(bind(fd, any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, ENODEV);
    address.sll_ifindex = 1;
    EXPECT_EQ(bind(fd, any(address), sizeof(address) - 1), -1);
    EXPECT_EQ(errno, EINVAL);
    address.sll_family = AF_INET;
    EXPECT_EQ(bind(fd, any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(listen(fd, 1), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    EXPECT_EQ(connect(fd, any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
    socklen_t length = sizeof(address);
    EXPECT_EQ(getpeername(fd, any(address), &length), -1);
    EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST_F(Packet, NameTellsInterfaceAndProtocol) {
    Descriptor fd(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_IP)));
    sockaddr_ll address;
    socklen_t length = sizeof(address);
    ASSERT_EQ(getsockname(fd, any(address), &length), 0);
    EXPECT_EQ(length, offsetof(sockaddr_ll, sll_addr));
    EXPECT_EQ(address.sll_family, AF_PACKET);
    EXPECT_EQ(address.sll_ifindex, 0);
    EXPECT_EQ(address.sll_protocol, htons(ETH_P_IP));
    address = link_address(0);
    ASSERT_EQ(bind(fd, any(address), sizeof(address)), 0);
    length = sizeof(address);
    ASSERT_EQ(getsockname(fd, any(address), &length), 0);
    EXPECT_EQ(length, offsetof(sockaddr_ll, sll_addr) + 6);
    EXPECT_EQ(address.sll_ifindex, 1);
    EXPECT_EQ(address.sll_protocol, htons(ETH_P_IP));  // 0 left it alone
    EXPECT_EQ(address.sll_hatype, ARPHRD_LOOPBACK);
    EXPECT_EQ(address.sll_halen, 6);
}

TEST_F(Packet, RawFramesComeWithTheirHeader) {
    Descriptor in(open_bound(SOCK_RAW, kOurProtocol));
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "a frame of our own");
    ASSERT_EQ(send(out, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
    Received received = receive(in);
    EXPECT_EQ(received.bytes, frame);
    EXPECT_EQ(received.from_length, sizeof(sockaddr_ll));
    EXPECT_EQ(received.from.sll_family, AF_PACKET);
    EXPECT_EQ(received.from.sll_protocol, htons(kOurProtocol));
    EXPECT_EQ(received.from.sll_ifindex, 1);
    EXPECT_EQ(received.from.sll_hatype, ARPHRD_LOOPBACK);
    EXPECT_EQ(received.from.sll_pkttype, PACKET_HOST);
    EXPECT_EQ(received.from.sll_halen, 6);
    EXPECT_TRUE(receive(in).timed_out);
}

TEST_F(Packet, DatagramsComeWithoutIt) {
    Descriptor in(open_bound(SOCK_DGRAM, kOurProtocol));
    Descriptor out(socket(AF_PACKET, SOCK_DGRAM, 0));
    sockaddr_ll to = link_address(kOurProtocol);
    to.sll_halen = 6;
    ASSERT_EQ(sendto(out, "payload", 7, 0, any(to), sizeof(to)), 7);
    Received received = receive(in);
    EXPECT_EQ(received.bytes, "payload");
    EXPECT_EQ(received.from.sll_protocol, htons(kOurProtocol));
}

TEST_F(Packet, AllProtocolsSeeBothDirections) {
    Descriptor all(open_bound(SOCK_RAW, ETH_P_ALL));
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "there and back");
    ASSERT_EQ(send(out, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
    std::vector<int> types;
    for (int i = 0; i < 20 && types.size() < 2; i++) {
        Received received = receive(all);
        if (received.timed_out) break;
        if (received.bytes == frame) types.push_back(received.from.sll_pkttype);
    }
    EXPECT_EQ(types, (std::vector<int>{PACKET_OUTGOING, PACKET_HOST}));
}

TEST_F(Packet, OwnFramesAreNotSeenOnTheirWayOut) {
    Descriptor fd(open_bound(SOCK_RAW, ETH_P_ALL));
    std::string frame = frame_of(kOurProtocol, "mine");
    ASSERT_EQ(send(fd, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
    for (int i = 0; i < 20; i++) {
        Received received = receive(fd);
        if (received.timed_out) break;
        if (received.bytes == frame) {
            EXPECT_EQ(received.from.sll_pkttype, PACKET_HOST);
        }
    }
}

TEST_F(Packet, OutgoingCanBeIgnored) {
    Descriptor all(open_bound(SOCK_RAW, ETH_P_ALL));
    int on = 1;
    ASSERT_EQ(setsockopt(all, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "once");
    ASSERT_EQ(send(out, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
    int seen = 0;
    for (int i = 0; i < 20; i++) {
        Received received = receive(all);
        if (received.timed_out) break;
        seen += received.bytes == frame;
    }
    EXPECT_EQ(seen, 1);
}

TEST_F(Packet, SeesWhatUdpSends) {
    Descriptor in(open_bound(SOCK_DGRAM, ETH_P_IP));
    Descriptor udp(socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(47123);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(sendto(udp, "hello", 5, 0, any(to), sizeof(to)), 5);
    for (int i = 0; i < 20; i++) {
        Received received = receive(in);
        ASSERT_FALSE(received.timed_out);
        if (received.bytes.size() != 20 + 8 + 5) continue;
        auto* ip = reinterpret_cast<const iphdr*>(received.bytes.data());
        auto* header = reinterpret_cast<const udphdr*>(received.bytes.data() + 20);
        if (ip->protocol != IPPROTO_UDP || header->dest != htons(47123)) continue;
        EXPECT_EQ(received.bytes.substr(28), "hello");
        return;
    }
    FAIL() << "the packet was not seen";
}

TEST_F(Packet, PeekTruncationAndLength) {
    Descriptor in(open_bound(SOCK_DGRAM, kOurProtocol));
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "0123456789");
    ASSERT_GT(send(out, frame.data(), frame.size(), 0), 0);
    EXPECT_EQ(receive(in, MSG_PEEK).bytes, "0123456789");
    int waiting = 0;
    EXPECT_EQ(ioctl(in, FIONREAD, &waiting), 0);
    EXPECT_EQ(waiting, 10);
    char bytes[4];
    iovec part = {bytes, sizeof(bytes)};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    EXPECT_EQ(recvmsg(in, &message, MSG_TRUNC), 10);
    EXPECT_EQ(message.msg_flags & MSG_TRUNC, MSG_TRUNC);
    EXPECT_EQ(memcmp(bytes, "0123", 4), 0);
    EXPECT_EQ(recv(in, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_EQ(recv(in, bytes, sizeof(bytes), MSG_OOB), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(Packet, SendErrors) {
    Descriptor fd(socket(AF_PACKET, SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "x");
    EXPECT_EQ(send(fd, frame.data(), frame.size(), 0), -1);
    EXPECT_EQ(errno, ENXIO);
    sockaddr_ll to = link_address(0);
    EXPECT_EQ(sendto(fd, frame.data(), frame.size(), 0, any(to), 10), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(sendto(fd, frame.data(), 13, 0, any(to), sizeof(to)), -1);
    EXPECT_EQ(errno, EINVAL);
    std::string large = frame_of(kOurProtocol, std::string(65536 + 1, 'x'));
    EXPECT_EQ(sendto(fd, large.data(), large.size(), 0, any(to), sizeof(to)), -1);
    EXPECT_EQ(errno, EMSGSIZE);
}

TEST_F(Packet, StatisticsCountAndStartAgain) {
    Descriptor in(open_bound(SOCK_RAW, kOurProtocol));
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "counted");
    for (int i = 0; i < 3; i++) ASSERT_GT(send(out, frame.data(), frame.size(), 0), 0);
    for (int i = 0; i < 3; i++) EXPECT_FALSE(receive(in).timed_out);
    tpacket_stats statistics = {};
    socklen_t length = sizeof(statistics);
    ASSERT_EQ(getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &statistics, &length), 0);
    EXPECT_EQ(length, sizeof(statistics));
    EXPECT_EQ(statistics.tp_packets, 3u);
    EXPECT_EQ(statistics.tp_drops, 0u);
    ASSERT_EQ(getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &statistics, &length), 0);
    EXPECT_EQ(statistics.tp_packets, 0u);
}

TEST_F(Packet, AFullBufferDropsAndCounts) {
    Descriptor in(open_bound(SOCK_RAW, kOurProtocol));
    int size = 4096;
    ASSERT_EQ(setsockopt(in, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, std::string(1000, 'x'));
    for (int i = 0; i < 100; i++) ASSERT_GT(send(out, frame.data(), frame.size(), 0), 0);
    tpacket_stats statistics = {};
    socklen_t length = sizeof(statistics);
    usleep(100'000);
    ASSERT_EQ(getsockopt(in, SOL_PACKET, PACKET_STATISTICS, &statistics, &length), 0);
    EXPECT_EQ(statistics.tp_packets, 100u);
    EXPECT_GT(statistics.tp_drops, 50u);
    EXPECT_LT(statistics.tp_drops, 100u);
}

TEST_F(Packet, AuxiliaryDataTellsLengths) {
    Descriptor in(open_bound(SOCK_RAW, kOurProtocol));
    int on = 1;
    ASSERT_EQ(setsockopt(in, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)), 0);
    Descriptor out(open_bound(SOCK_RAW, 0));
    std::string frame = frame_of(kOurProtocol, "with data");
    ASSERT_GT(send(out, frame.data(), frame.size(), 0), 0);
    std::string bytes(8, '\0');
    const auto data = receive_with_control<tpacket_auxdata>(in, bytes, SOL_PACKET, PACKET_AUXDATA);
    EXPECT_EQ(bytes, frame.substr(0, 8));
    EXPECT_TRUE(data.tp_status & TP_STATUS_USER);
    EXPECT_EQ(data.tp_len, frame.size());
    EXPECT_EQ(data.tp_snaplen, frame.size());
    EXPECT_EQ(data.tp_mac, 0);
    EXPECT_EQ(data.tp_net, 14);
}

TEST_F(Packet, Memberships) {
    Descriptor fd(socket(AF_PACKET, SOCK_RAW, 0));
    packet_mreq request = {};
    request.mr_ifindex = 9999;
    request.mr_type = PACKET_MR_PROMISC;
    EXPECT_EQ(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)), -1);
    EXPECT_EQ(errno, ENODEV);
    request.mr_ifindex = 1;
    EXPECT_EQ(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request) - 1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request, sizeof(request)), 0);
    EXPECT_EQ(setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &request, sizeof(request)), 0);
    EXPECT_EQ(setsockopt(fd, SOL_PACKET, 9999, &request, sizeof(request)), -1);
    EXPECT_EQ(errno, ENOPROTOOPT);
}

TEST(BindToDevice, KeepsASocketOnAnInterface) {
    Descriptor fd(socket(AF_INET, SOCK_DGRAM, 0));
    char name[IFNAMSIZ] = "nothing";
    socklen_t length = sizeof(name);
    ASSERT_EQ(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length), 0);
    EXPECT_EQ(length, 0u);
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "nosuch0", 8), -1);
    EXPECT_EQ(errno, ENODEV);
    ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
    length = sizeof(name);
    ASSERT_EQ(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length), 0);
    EXPECT_EQ(length, 3u);
    EXPECT_STREQ(name, "lo");
    length = 3;
    EXPECT_EQ(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &length), -1);
    EXPECT_EQ(errno, EINVAL);
    constexpr int kBindToInterfaceIndex = 62;
    int index = 0;
    length = sizeof(index);
    ASSERT_EQ(getsockopt(fd, SOL_SOCKET, kBindToInterfaceIndex, &index, &length), 0);
    EXPECT_EQ(index, 1);
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(bind(fd, any(at), sizeof(at)), 0);
    socklen_t size = sizeof(at);
    getsockname(fd, any(at), &size);
    EXPECT_EQ(sendto(fd, "x", 1, 0, any(at), sizeof(at)), 1);
    char byte;
    EXPECT_EQ(recv(fd, &byte, 1, 0), 1);
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 0), 0);
}

TEST(BindToDevice, WorksForTcp) {
    Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    ASSERT_EQ(bind(listener, any(at), sizeof(at)), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    socklen_t size = sizeof(at);
    getsockname(listener, any(at), &size);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(setsockopt(client, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3), 0);
    EXPECT_EQ(connect(client, any(at), sizeof(at)), 0);
}

}  // namespace
