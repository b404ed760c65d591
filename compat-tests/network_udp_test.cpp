// UDP sockets over the loopback interface: man 7 udp, man 7 ip, man 7 ipv6.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "inet_support.h"

namespace {

class UdpPair {
  public:
    explicit UdpPair(int family = AF_INET) : family_(family) {
        server = socket(family, SOCK_DGRAM, 0);
        client = socket(family, SOCK_DGRAM, 0);
        sockaddr_storage address = loopback_of(family);
        EXPECT_EQ(bind(server, reinterpret_cast<sockaddr*>(&address), size()), 0);
        socklen_t length = sizeof(server_address);
        getsockname(server, reinterpret_cast<sockaddr*>(&server_address), &length);
        EXPECT_EQ(length, size());
        timeval limit{5, 0};
        for (int fd : {server, client})
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    }
    ~UdpPair() {
        close(server);
        close(client);
    }
    socklen_t size() const {
        return family_ == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    }
    const sockaddr* to_server() const { return reinterpret_cast<const sockaddr*>(&server_address); }
    void connect_client() { ASSERT_EQ(connect(client, to_server(), size()), 0); }
    void set(int fd, int level, int option, int value) {
        ASSERT_EQ(setsockopt(fd, level, option, &value, sizeof(value)), 0);
    }

    int server, client;
    sockaddr_storage server_address;

  private:
    int family_;
};

class UdpTest : public testing::TestWithParam<int> {};

TEST_P(UdpTest, MessagesKeepTheirBordersAndSenders) {
    UdpPair pair(GetParam());
    for (const char* text : {"one", "", "three"}) {
        ASSERT_EQ(sendto(pair.client, text, strlen(text), 0, pair.to_server(), pair.size()),
                  static_cast<ssize_t>(strlen(text)));
    }
    for (const char* text : {"one", "", "three"}) {
        char bytes[16];
        sockaddr_storage from{}, own{};
        socklen_t from_length = sizeof(from), own_length = sizeof(own);
        ASSERT_EQ(recvfrom(pair.server, bytes, sizeof(bytes), 0, reinterpret_cast<sockaddr*>(&from),
                           &from_length),
                  static_cast<ssize_t>(strlen(text)));
        EXPECT_EQ(std::string(bytes, strlen(text)), text);
        EXPECT_EQ(from_length, pair.size());
        getsockname(pair.client, reinterpret_cast<sockaddr*>(&own), &own_length);
        EXPECT_EQ(reinterpret_cast<sockaddr_in&>(from).sin_port,
                  reinterpret_cast<sockaddr_in&>(own).sin_port);
    }
    EXPECT_EQ(recv(pair.server, nullptr, 0, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST_P(UdpTest, LongMessagesAreCutAndSaidSo) {
    UdpPair pair(GetParam());
    pair.connect_client();
    std::vector<char> sent(65507, 'x');
    for (size_t i = 0; i < sent.size(); i++) sent[i] = static_cast<char>(i * 31);
    ASSERT_EQ(send(pair.client, sent.data(), sent.size(), 0), 65507);
    std::vector<char> got(70000);
    ASSERT_EQ(recv(pair.server, got.data(), got.size(), 0), 65507);
    EXPECT_EQ(memcmp(got.data(), sent.data(), sent.size()), 0);
    ASSERT_EQ(send(pair.client, sent.data(), 100, 0), 100);
    iovec part{got.data(), 10};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    EXPECT_EQ(recvmsg(pair.server, &message, MSG_PEEK), 10);
    EXPECT_EQ(message.msg_flags, MSG_TRUNC);
    EXPECT_EQ(recv(pair.server, got.data(), 10, MSG_TRUNC), 100);
    EXPECT_EQ(send(pair.client, sent.data(), 65536, 0), -1);
    EXPECT_EQ(errno, EMSGSIZE);
}

TEST_P(UdpTest, RefusedDatagramsAreToldToConnectedSockets) {
    UdpPair pair(GetParam());
    pair.connect_client();
    close(pair.server);
    pair.server = -1;
    ASSERT_EQ(send(pair.client, "x", 1, 0), 1);
    pollfd events{pair.client, POLLIN, 0};
    ASSERT_EQ(poll(&events, 1, 5000), 1);
    EXPECT_TRUE(events.revents & POLLERR);
    EXPECT_EQ(send(pair.client, "x", 1, 0), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    EXPECT_EQ(send(pair.client, "x", 1, 0), 1) << "the error was taken";
    int error = 0;
    socklen_t length = sizeof(error);
    ASSERT_EQ(getsockopt(pair.client, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    EXPECT_EQ(error, ECONNREFUSED);
    char byte;
    EXPECT_EQ(recv(pair.client, &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST_P(UdpTest, ErrorQueueTellsWhatFailed) {
    bool v6 = GetParam() == AF_INET6;
    UdpPair pair(GetParam());
    pair.set(pair.client, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, 1);
    close(pair.server);
    pair.server = -1;
    ASSERT_EQ(sendto(pair.client, "hello", 5, 0, pair.to_server(), pair.size()), 5);
    pollfd events{pair.client, 0, 0};
    ASSERT_EQ(poll(&events, 1, 5000), 1);
    char data[64];
    alignas(cmsghdr) char control[256];
    sockaddr_storage name{};
    iovec part{data, sizeof(data)};
    msghdr message{&name, sizeof(name), &part, 1, control, sizeof(control), 0};
    ASSERT_EQ(recvmsg(pair.client, &message, MSG_ERRQUEUE), 5);
    EXPECT_EQ(std::string(data, 5), "hello");
    EXPECT_TRUE(message.msg_flags & MSG_ERRQUEUE);
    EXPECT_EQ(memcmp(&name, &pair.server_address, 8), 0) << "whom it was for";
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    ASSERT_TRUE(head);
    EXPECT_EQ(head->cmsg_level, v6 ? IPPROTO_IPV6 : IPPROTO_IP);
    EXPECT_EQ(head->cmsg_type, v6 ? IPV6_RECVERR : IP_RECVERR);
    auto* error = reinterpret_cast<sock_extended_err*>(CMSG_DATA(head));
    EXPECT_EQ(error->ee_errno, static_cast<uint32_t>(ECONNREFUSED));
    EXPECT_EQ(error->ee_origin, v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP);
    EXPECT_EQ(error->ee_type, v6 ? 1 : 3);
    EXPECT_EQ(error->ee_code, v6 ? 4 : 3);
    EXPECT_EQ(SO_EE_OFFENDER(error)->sa_family, GetParam());
    EXPECT_EQ(recvmsg(pair.client, &message, MSG_ERRQUEUE), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST_P(UdpTest, PacketInformationIsGivenAndTaken) {
    bool v6 = GetParam() == AF_INET6;
    UdpPair pair(GetParam());
    if (v6) {
        pair.set(pair.server, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        pair.set(pair.server, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
        pair.set(pair.client, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33);
    } else {
        pair.set(pair.server, IPPROTO_IP, IP_PKTINFO, 1);
        pair.set(pair.server, IPPROTO_IP, IP_RECVTTL, 1);
        pair.set(pair.client, IPPROTO_IP, IP_TTL, 33);
    }
    ASSERT_EQ(sendto(pair.client, "x", 1, 0, pair.to_server(), pair.size()), 1);
    char byte;
    alignas(cmsghdr) char control[256];
    iovec part{&byte, 1};
    msghdr message{nullptr, 0, &part, 1, control, sizeof(control), 0};
    ASSERT_EQ(recvmsg(pair.server, &message, 0), 1);
    bool saw_address = false, saw_hops = false;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_type == (v6 ? IPV6_PKTINFO : IP_PKTINFO)) {
            saw_address = true;
            if (v6) {
                auto* info = reinterpret_cast<in6_pktinfo*>(CMSG_DATA(head));
                EXPECT_TRUE(IN6_IS_ADDR_LOOPBACK(&info->ipi6_addr));
                EXPECT_EQ(info->ipi6_ifindex, 1u);
            } else {
                auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(head));
                EXPECT_EQ(info->ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
                EXPECT_EQ(info->ipi_spec_dst.s_addr, htonl(INADDR_LOOPBACK));
                EXPECT_EQ(info->ipi_ifindex, 1);
            }
        } else if (head->cmsg_type == (v6 ? IPV6_HOPLIMIT : IP_TTL)) {
            saw_hops = true;
            EXPECT_EQ(*reinterpret_cast<int*>(CMSG_DATA(head)), 33);
        }
    }
    EXPECT_TRUE(saw_address);
    EXPECT_TRUE(saw_hops);
}

TEST_P(UdpTest, SegmentsAreCutForTheSender) {
    UdpPair pair(GetParam());
    pair.connect_client();
    pair.set(pair.client, IPPROTO_UDP, UDP_SEGMENT, 100);
    std::string sent(250, 'a');
    ASSERT_EQ(send(pair.client, sent.data(), sent.size(), 0), 250);
    char bytes[300];
    EXPECT_EQ(recv(pair.server, bytes, sizeof(bytes), 0), 100);
    EXPECT_EQ(recv(pair.server, bytes, sizeof(bytes), 0), 100);
    EXPECT_EQ(recv(pair.server, bytes, sizeof(bytes), 0), 50);
}

// What the sender cut may arrive in one message again, with the size of its pieces.
TEST(Udp, ReceiveJoinsSegments) {
    UdpPair pair;
    pair.set(pair.server, IPPROTO_UDP, UDP_GRO, 1);
    pair.set(pair.client, IPPROTO_UDP, UDP_SEGMENT, 100);
    std::string sent(950, '\0');
    for (size_t i = 0; i < sent.size(); i++) sent[i] = static_cast<char>(i * 7);
    ASSERT_EQ(sendto(pair.client, sent.data(), sent.size(), 0, pair.to_server(), pair.size()), 950);
    std::string received(2000, '\0');
    EXPECT_EQ(receive_with_control<int>(pair.server, received, SOL_UDP, UDP_GRO), 100);
    EXPECT_EQ(received, sent);
    // A datagram of its own comes without.
    pair.set(pair.client, IPPROTO_UDP, UDP_SEGMENT, 0);
    ASSERT_EQ(sendto(pair.client, "alone", 5, 0, pair.to_server(), pair.size()), 5);
    char bytes[16], control[256];
    iovec part = {bytes, sizeof(bytes)};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ASSERT_EQ(recvmsg(pair.server, &message, 0), 5);
    EXPECT_EQ(message.msg_controllen, 0u);
}

TEST_P(UdpTest, CorkedPiecesAreOneMessage) {
    UdpPair pair(GetParam());
    pair.connect_client();
    ASSERT_EQ(send(pair.client, "one ", 4, MSG_MORE), 4);
    ASSERT_EQ(send(pair.client, "two ", 4, MSG_MORE), 4);
    char bytes[64];
    EXPECT_EQ(recv(pair.server, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    ASSERT_EQ(send(pair.client, "three", 5, 0), 5);
    ASSERT_EQ(recv(pair.server, bytes, sizeof(bytes), 0), 13);
    EXPECT_EQ(std::string(bytes, 13), "one two three");
    pair.set(pair.client, IPPROTO_UDP, UDP_CORK, 1);
    ASSERT_EQ(send(pair.client, "ab", 2, 0), 2);
    ASSERT_EQ(send(pair.client, "cd", 2, 0), 2);
    pair.set(pair.client, IPPROTO_UDP, UDP_CORK, 0);
    ASSERT_EQ(recv(pair.server, bytes, sizeof(bytes), 0), 4);
}

TEST_P(UdpTest, ManyMessagesInOneCall) {
    UdpPair pair(GetParam());
    pair.connect_client();
    std::array<mmsghdr, 4> messages{};
    std::array<iovec, 4> parts;
    std::array<std::array<char, 16>, 4> bytes{};
    for (size_t i = 0; i < 4; i++) {
        bytes[i].fill(static_cast<char>('a' + i));
        parts[i] = {bytes[i].data(), i + 1};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    ASSERT_EQ(sendmmsg(pair.client, messages.data(), 4, 0), 4);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(messages[i].msg_len, i + 1);
        parts[i].iov_len = 16;
        bytes[i].fill(0);
    }
    ASSERT_EQ(recvmmsg(pair.server, messages.data(), 4, 0, nullptr), 4);
    for (size_t i = 0; i < 4; i++) {
        EXPECT_EQ(messages[i].msg_len, i + 1);
        EXPECT_EQ(bytes[i][0], static_cast<char>('a' + i));
    }
}

TEST_P(UdpTest, ConnectedSocketsHearTheirPeerAlone) {
    UdpPair pair(GetParam());
    pair.connect_client();
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    getsockname(pair.client, reinterpret_cast<sockaddr*>(&own), &length);
    int stranger = socket(GetParam(), SOCK_DGRAM, 0);
    ASSERT_EQ(sendto(stranger, "no", 2, 0, reinterpret_cast<sockaddr*>(&own), length), 2);
    ASSERT_EQ(sendto(pair.server, "yes", 3, 0, reinterpret_cast<sockaddr*>(&own), length), 3);
    char bytes[16];
    EXPECT_EQ(recv(pair.client, bytes, sizeof(bytes), 0), 3);
    EXPECT_EQ(recv(pair.client, bytes, sizeof(bytes), MSG_DONTWAIT), -1);
    sockaddr nobody{};
    nobody.sa_family = AF_UNSPEC;
    ASSERT_EQ(connect(pair.client, &nobody, sizeof(nobody)), 0);
    EXPECT_EQ(send(pair.client, "x", 1, 0), -1);
    EXPECT_EQ(errno, EDESTADDRREQ);
    EXPECT_EQ(getpeername(pair.client, &nobody, &length), -1);
    EXPECT_EQ(errno, ENOTCONN);
    close(stranger);
}

INSTANTIATE_TEST_SUITE_P(, UdpTest, testing::Values(AF_INET, AF_INET6),
                         [](auto& info) { return info.param == AF_INET ? "Ipv4" : "Ipv6"; });

TEST(UdpBind, PortsAreTakenOnceUnlessShared) {
    UdpPair pair;
    int second = socket(AF_INET, SOCK_DGRAM, 0);
    EXPECT_EQ(bind(second, pair.to_server(), pair.size()), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(bind(pair.server, pair.to_server(), pair.size()), -1);
    EXPECT_EQ(errno, EINVAL);
    sockaddr_in elsewhere{AF_INET, 0, {htonl(0xc0000201)}, {}};
    EXPECT_EQ(bind(second, reinterpret_cast<sockaddr*>(&elsewhere), sizeof(elsewhere)), -1);
    EXPECT_EQ(errno, EADDRNOTAVAIL);
    EXPECT_EQ(bind(second, pair.to_server(), 4), -1);
    EXPECT_EQ(errno, EINVAL);
    close(second);
    int shared[2];
    sockaddr_storage address = loopback_of(AF_INET);
    socklen_t length = sizeof(address);
    for (int& fd : shared) {
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        pair.set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), pair.size()), 0);
        getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    }
    close(shared[0]);
    close(shared[1]);
}

TEST(UdpBind, DualStackSocketsTakeBoth) {
    int dual = socket(AF_INET6, SOCK_DGRAM, 0);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    ASSERT_EQ(bind(dual, reinterpret_cast<sockaddr*>(&any), sizeof(any)), 0);
    socklen_t length = sizeof(any);
    getsockname(dual, reinterpret_cast<sockaddr*>(&any), &length);
    int v4 = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in to{AF_INET, any.sin6_port, {htonl(INADDR_LOOPBACK)}, {}};
    ASSERT_EQ(sendto(v4, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 1);
    char byte;
    sockaddr_in6 from{};
    length = sizeof(from);
    ASSERT_EQ(recvfrom(dual, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length), 1);
    EXPECT_TRUE(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr));
    ASSERT_EQ(sendto(dual, "y", 1, 0, reinterpret_cast<sockaddr*>(&from), length), 1);
    ASSERT_EQ(recv(v4, &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'y');
    EXPECT_EQ(bind(v4, reinterpret_cast<sockaddr*>(&to), sizeof(to)), -1);
    close(v4);
    close(dual);
}

// The pages of this program's end are in no memory yet: a send that reads them sleeps.
TEST(UdpCork, IsTakenAwayWhileAPieceIsRead) {
    UdpPair udp;
    udp.connect_client();
    std::atomic<bool> is_over = false;
    std::thread other([&] {
        const int is_on = 0;
        while (!is_over) setsockopt(udp.client, IPPROTO_UDP, UDP_CORK, &is_on, sizeof(is_on));
    });
    int file = open("/proc/self/exe", O_RDONLY);
    const off_t size = lseek(file, 0, SEEK_END);
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    for (off_t at = size - 4096; at > 0; at -= 4096) {
        const ssize_t sent = send(udp.client, static_cast<char*>(mapped) + at, 100, MSG_MORE);
        EXPECT_TRUE(sent == 100 || errno == EINVAL || errno == EMSGSIZE) << errno;
    }
    is_over = true;
    other.join();
    munmap(mapped, size);
    close(file);
}

TEST(UdpOptions, HaveLinuxsValues) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    auto get = [fd](int level, int option) {
        int value = -1;
        socklen_t length = sizeof(value);
        return getsockopt(fd, level, option, &value, &length) == 0 ? value : -errno;
    };
    EXPECT_EQ(get(IPPROTO_IP, IP_TTL), 64);
    EXPECT_EQ(get(IPPROTO_IP, IP_MULTICAST_TTL), 1);
    EXPECT_EQ(get(IPPROTO_IP, IP_MULTICAST_LOOP), 1);
    EXPECT_EQ(get(IPPROTO_IP, IP_TOS), 0);
    EXPECT_EQ(get(IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_WANT);
    EXPECT_EQ(get(IPPROTO_IP, IP_MTU), -ENOTCONN);
    int value = 256;
    EXPECT_EQ(setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof(value)), -1);
    EXPECT_EQ(errno, EINVAL);
    value = 0;
    EXPECT_EQ(setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof(value)), -1);
    EXPECT_EQ(setsockopt(fd, IPPROTO_IP, 12345, &value, sizeof(value)), -1);
    EXPECT_EQ(errno, ENOPROTOOPT);
    sockaddr_in broadcast{AF_INET, htons(9), {htonl(INADDR_BROADCAST)}, {}};
    EXPECT_EQ(sendto(fd, "x", 1, 0, reinterpret_cast<sockaddr*>(&broadcast), sizeof(broadcast)),
              -1);
    EXPECT_TRUE(errno == EACCES || errno == ENETUNREACH) << errno;
    close(fd);
}

}  // namespace
