// Nonsense at sockets' back doors: requests to netlink that nobody would make, and frames that a
// packet socket puts on the loopback interface. What chance decides follows from a fixed seed.
// Nothing is asked that changes the machine, and afterwards everything goes on as before.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <string>

namespace {

std::mt19937 chance(1);

uint32_t below(uint32_t limit) {
    return chance() % limit;
}

std::string noise(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(chance());
    return bytes;
}

template <typename T>
std::string bytes_of(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

std::string hostile_request(uint32_t sequence) {
    static constexpr uint16_t kTypes[] = {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH,
                                          RTM_GETRULE, NLMSG_NOOP,  NLMSG_DONE,   NLMSG_ERROR,
                                          RTM_GETLINK, RTM_GETROUTE};
    static constexpr unsigned char kFamilies[] = {AF_UNSPEC, AF_INET, AF_INET6, AF_PACKET};
    std::string body = noise(below(40));
    if (!body.empty()) body[0] = static_cast<char>(kFamilies[below(4)]);
    for (uint32_t i = below(5); i > 0; i--) {
        size_t size = below(24);
        auto length = static_cast<uint16_t>(below(4) ? NLA_HDRLEN + size : chance());
        body += bytes_of(nlattr{length, static_cast<uint16_t>(below(below(8) ? 30 : 65536))});
        body += noise(NLA_ALIGN(size));
    }
    auto length = static_cast<uint32_t>(NLMSG_HDRLEN + body.size());
    if (below(8) == 0) length = below(2) ? below(length + 16) : chance();
    auto flags = static_cast<uint16_t>(NLM_F_REQUEST | (below(2) ? NLM_F_DUMP : 0) |
                                       (below(2) ? NLM_F_ACK : 0) | (below(8) ? 0 : chance()));
    return bytes_of(nlmsghdr{length, kTypes[below(std::size(kTypes))], flags, sequence, below(3)}) +
           body;
}

TEST(NetlinkHostile, RequestsAreAnsweredOrIgnored) {
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    ASSERT_GE(netlink, 0);
    alignas(nlmsghdr) char answer[65536];
    for (uint32_t i = 0; i < 5000; i++) {
        std::string request = hostile_request(i);
        if (below(4) == 0) request += hostile_request(i);
        ASSERT_EQ(send(netlink, request.data(), request.size(), 0),
                  static_cast<ssize_t>(request.size()));
        // Every answer is well-formed.
        ssize_t size;
        while ((size = recv(netlink, answer, sizeof(answer), MSG_DONTWAIT)) > 0) {
            auto* message = reinterpret_cast<nlmsghdr*>(answer);
            for (; NLMSG_OK(message, size); message = NLMSG_NEXT(message, size)) continue;
            ASSERT_LE(size, 0) << i;
        }
        ASSERT_TRUE(errno == EAGAIN || errno == ENOBUFS) << strerror(errno);
    }
    // A good question has its answer.
    struct {
        nlmsghdr header;
        ifinfomsg link;
    } question = {{sizeof(question), RTM_GETLINK, NLM_F_REQUEST, 77777, 0}, {}};
    question.link.ifi_index = 1;
    ASSERT_EQ(send(netlink, &question, sizeof(question), 0),
              static_cast<ssize_t>(sizeof(question)));
    auto* message = reinterpret_cast<nlmsghdr*>(answer);
    do {
        ASSERT_GT(recv(netlink, answer, sizeof(answer), 0), 0);
    } while (message->nlmsg_seq != 77777);
    EXPECT_EQ(message->nlmsg_type, RTM_NEWLINK);
    close(netlink);
}

uint16_t internet_checksum(const std::string& bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < bytes.size(); i += 2) {
        sum += static_cast<uint8_t>(bytes[i]) << 8 | static_cast<uint8_t>(bytes[i + 1]);
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return htons(static_cast<uint16_t>(~sum));
}

// A frame for this machine: an IPv4 packet whose header is mostly right, with a header and bytes of
// chance for one of the sockets; or chance alone.
std::string hostile_frame(in_port_t udp_port, in_port_t tcp_from, in_port_t tcp_to) {
    std::string frame(12, '\0');
    uint32_t kind = below(16);
    if (kind == 0) return frame + noise(2 + below(100));
    if (kind < 3) {
        // IPv6, from and to ::1, and a chain of extension headers.
        static constexpr unsigned char kNext[] = {0, 43, 44, 60, 58, 17, 6, 51, 135, 255};
        std::string rest = noise(below(200));
        if (!rest.empty()) rest[0] = static_cast<char>(kNext[below(10)]);
        std::string loopback = std::string(15, '\0') + '\1';
        return frame + "\x86\xdd" + std::string("\x60\0\0\0", 4) +
               bytes_of(htons(static_cast<uint16_t>(rest.size() + (below(8) ? 0 : below(20))))) +
               static_cast<char>(kNext[below(10)]) + '\x40' + loopback + loopback + rest;
    }
    std::string payload = noise(below(below(8) ? 60 : 1400));
    uint8_t protocol = IPPROTO_UDP;
    if (kind < 10) {
        auto length = static_cast<uint16_t>(below(8) ? 8 + payload.size() : chance());
        udphdr header = {};
        header.uh_sport = htons(static_cast<uint16_t>(chance()));
        header.uh_dport = udp_port;
        header.uh_ulen = htons(length);
        payload = bytes_of(header) + payload;
    } else if (kind < 15) {
        protocol = IPPROTO_TCP;
        tcphdr header = {};
        header.th_sport = tcp_from;
        header.th_dport = tcp_to;
        header.th_seq = static_cast<uint32_t>(chance());
        header.th_ack = static_cast<uint32_t>(chance());
        header.th_off = below(16);
        header.th_flags = static_cast<uint8_t>(chance());
        header.th_win = static_cast<uint16_t>(chance());
        payload = bytes_of(header) + payload;
    } else {
        protocol = static_cast<uint8_t>(chance());
    }
    iphdr ip = {};
    ip.version = 4;
    ip.ihl = below(16) ? 5 : below(16);
    ip.tot_len = htons(static_cast<uint16_t>(below(16) ? sizeof(ip) + payload.size() : chance()));
    ip.id = static_cast<uint16_t>(below(4));
    if (below(4) == 0) ip.frag_off = htons(static_cast<uint16_t>(below(2) << 13 | below(200)));
    ip.ttl = 64;
    ip.protocol = protocol;
    ip.saddr = ip.daddr = htonl(INADDR_LOOPBACK);
    ip.check = internet_checksum(bytes_of(ip));
    return frame + std::string("\x08\0", 2) + bytes_of(ip) + payload;
}

in_port_t bound_port(int fd) {
    sockaddr_in name = {};
    socklen_t length = sizeof(name);
    getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
    return name.sin_port;
}

TEST(PacketHostile, FramesOnLoopbackHarmNobody) {
    int packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (packet < 0 && errno == EPERM) GTEST_SKIP() << "packet sockets need CAP_NET_RAW";
    ASSERT_GE(packet, 0);
    sockaddr_ll link = {};
    link.sll_family = AF_PACKET;
    link.sll_ifindex = 1;
    link.sll_halen = 6;

    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    int udp = socket(AF_INET, SOCK_DGRAM, 0), listener = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    ASSERT_EQ(setsockopt(udp, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)), 0);
    ASSERT_EQ(bind(udp, name, sizeof(address)), 0);
    ASSERT_EQ(bind(listener, name, sizeof(address)), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    address.sin_port = bound_port(listener);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(client, name, sizeof(address)), 0);
    int server = accept(listener, nullptr, nullptr);
    ASSERT_GE(server, 0);

    char bytes[65536];
    for (uint32_t i = 0; i < 4000; i++) {
        std::string frame = hostile_frame(bound_port(udp), bound_port(client), bound_port(server));
        sendto(packet, frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&link),
               sizeof(link));
        while (recv(udp, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0) continue;
        if (i % 100) continue;
        // The connection lives, and carries what was sent.
        std::string text = "message " + std::to_string(i);
        ASSERT_EQ(write(client, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        ASSERT_EQ(recv(server, bytes, text.size(), MSG_WAITALL), static_cast<ssize_t>(text.size()));
        ASSERT_EQ(std::string(bytes, text.size()), text);
    }
    // So does the socket of datagrams.
    address.sin_port = bound_port(udp);
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    ASSERT_EQ(sendto(sender, "good", 4, 0, name, sizeof(address)), 4);
    ssize_t size;
    do {
        pollfd entry = {udp, POLLIN, 0};
        ASSERT_EQ(poll(&entry, 1, 30'000), 1);
        size = recv(udp, bytes, sizeof(bytes), MSG_DONTWAIT);
    } while (size != 4 || memcmp(bytes, "good", 4) != 0);
    for (int fd : {packet, udp, listener, client, server, sender}) close(fd);
}

}  // namespace
