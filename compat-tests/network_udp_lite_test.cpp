// UDP-Lite over the loopback interface (RFC 3828; man 7 udplite), and what it shares with UDP: the
// options of both levels, and UDP over IPv6 without checksums.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "expect_errno.h"
#include "inet_support.h"

namespace {

constexpr int kSendCoverage = 10, kReceiveCoverage = 11;  // UDPLITE_SEND_CSCOV, UDPLITE_RECV_CSCOV
constexpr int kEncapsulation = 100, kNoCheck6Transmit = 101, kNoCheck6Receive = 102;

int set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof(value));
}
int get(int fd, int level, int option) {
    int value = -1;
    socklen_t length = sizeof(value);
    EXPECT_EQ(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

class UdpLiteTest : public testing::TestWithParam<int> {
  protected:
    // Bound to a port of its own on the loopback address, or to `port`.
    Descriptor open(int protocol, uint16_t port = 0) {
        Descriptor fd(socket(GetParam(), SOCK_DGRAM, protocol));
        EXPECT_GE(fd, 0);
        sockaddr_storage address = loopback_of(GetParam(), port);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size()), 0);
        return fd;
    }
    socklen_t size() const {
        return GetParam() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    }
    static uint16_t port_of(int fd) {
        sockaddr_in6 address;  // the port is where an IPv4 address has it
        socklen_t length = sizeof(address);
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length), 0);
        return ntohs(address.sin6_port);
    }
    ssize_t send(int from, int to, const std::string& text) {
        sockaddr_storage address = loopback_of(GetParam(), port_of(to));
        return sendto(from, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&address),
                      size());
    }
    // What comes next; loopback delivers before send(2) is over.
    static std::string receive(int fd) {
        char buffer[2000];
        ssize_t got = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        return got < 0 ? strerror(errno) : std::string(buffer, static_cast<size_t>(got));
    }
    const std::string nothing_ = strerror(EAGAIN);
};

TEST_P(UdpLiteTest, Exchange) {
    Descriptor a = open(IPPROTO_UDPLITE), b = open(IPPROTO_UDPLITE);
    EXPECT_EQ(get(a, SOL_SOCKET, SO_PROTOCOL), IPPROTO_UDPLITE);
    for (const std::string& text : {std::string("hello"), std::string(), std::string(1900, 'x')}) {
        EXPECT_EQ(send(a, b, text), static_cast<ssize_t>(text.size()));
        EXPECT_EQ(receive(b), text);
    }
}

TEST_P(UdpLiteTest, PortsAreNotThoseOfUdp) {
    Descriptor lite = open(IPPROTO_UDPLITE);
    Descriptor plain = open(IPPROTO_UDP, port_of(lite));
    send(open(IPPROTO_UDPLITE), plain, "lite");
    send(open(IPPROTO_UDP), lite, "plain");
    EXPECT_EQ(receive(lite), "lite");
    EXPECT_EQ(receive(plain), "plain");
}

TEST_P(UdpLiteTest, PortWithoutSocketRefuses) {
    Descriptor a = open(IPPROTO_UDPLITE);
    Descriptor b = open(IPPROTO_UDP);  // of the other protocol
    sockaddr_storage address = loopback_of(GetParam(), port_of(b));
    ASSERT_EQ(connect(a, reinterpret_cast<sockaddr*>(&address), size()), 0);
    EXPECT_EQ(::send(a, "x", 1, 0), 1);
    EXPECT_ERRNO(ECONNREFUSED, ::send(a, "x", 1, 0));
}

TEST_P(UdpLiteTest, CoverageIsKept) {
    Descriptor lite = open(IPPROTO_UDPLITE);
    for (int level : {IPPROTO_UDP, IPPROTO_UDPLITE}) {
        for (int option : {kSendCoverage, kReceiveCoverage}) {
            EXPECT_EQ(set(lite, level, option, 0), 0);
            EXPECT_EQ(get(lite, level, option), 0);
            EXPECT_EQ(set(lite, level, option, 4), 0);  // less than the header
            EXPECT_EQ(get(lite, level, option), 8);
            EXPECT_EQ(set(lite, level, option, -1), 0);
            EXPECT_EQ(get(lite, level, option), 8);
            EXPECT_EQ(set(lite, level, option, 20), 0);
            EXPECT_EQ(get(lite, level, option), 20);
            EXPECT_EQ(set(lite, level, option, 100'000), 0);
            EXPECT_EQ(get(lite, level, option), 65535);
        }
    }
}

TEST_P(UdpLiteTest, CoverageIsNoOptionOfUdp) {
    Descriptor plain = open(IPPROTO_UDP);
    for (int level : {IPPROTO_UDP, IPPROTO_UDPLITE}) {
        for (int option : {kSendCoverage, kReceiveCoverage}) {
            EXPECT_ERRNO(ENOPROTOOPT, set(plain, level, option, 8));
            EXPECT_EQ(get(plain, level, option), 0);
        }
    }
}

TEST_P(UdpLiteTest, ReceiverAsksForCoverage) {
    Descriptor a = open(IPPROTO_UDPLITE), b = open(IPPROTO_UDPLITE);
    const std::string text = "twelve bytes";
    auto arrives = [&] {
        EXPECT_EQ(send(a, b, text), 12);
        std::string got = receive(b);
        EXPECT_TRUE(got == text || got == nothing_) << got;
        return got == text;
    };
    EXPECT_EQ(set(a, IPPROTO_UDPLITE, kSendCoverage, 12), 0);
    EXPECT_TRUE(arrives());
    EXPECT_EQ(set(b, IPPROTO_UDPLITE, kReceiveCoverage, 12), 0);
    EXPECT_TRUE(arrives());
    EXPECT_EQ(set(b, IPPROTO_UDPLITE, kReceiveCoverage, 13), 0);
    EXPECT_FALSE(arrives());
    EXPECT_EQ(set(b, IPPROTO_UDPLITE, kReceiveCoverage, 0), 0);  // all
    EXPECT_FALSE(arrives());
    for (int whole : {0, 20, 1000}) {
        EXPECT_EQ(set(a, IPPROTO_UDPLITE, kSendCoverage, whole), 0);
        EXPECT_TRUE(arrives());
    }
}

TEST_P(UdpLiteTest, SegmentsAreForUdp) {
    Descriptor a = open(IPPROTO_UDPLITE), b = open(IPPROTO_UDPLITE);
    EXPECT_EQ(set(a, IPPROTO_UDP, UDP_SEGMENT, 100), 0);
    EXPECT_ERRNO(EIO, send(a, b, std::string(250, 'x')));
}

TEST_P(UdpLiteTest, ProcShowsTheSocket) {
    Descriptor a = open(IPPROTO_UDPLITE);
    char port[8];
    snprintf(port, sizeof(port), ":%04X ", port_of(a));
    std::ifstream table(GetParam() == AF_INET ? "/proc/net/udplite" : "/proc/net/udplite6");
    std::string line;
    int rows = 0;
    while (getline(table, line)) rows += line.find(port) != std::string::npos;
    EXPECT_EQ(rows, 1);
}

TEST_P(UdpLiteTest, EncapsulationIsNone) {
    Descriptor plain = open(IPPROTO_UDP);
    EXPECT_EQ(get(plain, IPPROTO_UDP, kEncapsulation), 0);
    EXPECT_EQ(set(plain, IPPROTO_UDP, kEncapsulation, 0), 0);
    EXPECT_ERRNO(ENOPROTOOPT, set(plain, IPPROTO_UDP, kEncapsulation, 77));
}

// RFC 6935: UDP over IPv6 without checksums, where both sides want it.
TEST_P(UdpLiteTest, NoChecksumOverIpv6) {
    Descriptor a = open(IPPROTO_UDP), b = open(IPPROTO_UDP);
    EXPECT_EQ(get(a, IPPROTO_UDP, kNoCheck6Transmit), 0);
    EXPECT_EQ(set(a, IPPROTO_UDP, kNoCheck6Transmit, 1), 0);
    EXPECT_EQ(get(a, IPPROTO_UDP, kNoCheck6Transmit), 1);
    const bool is_v4 = GetParam() == AF_INET;
    send(a, b, "no sum");
    EXPECT_EQ(receive(b), is_v4 ? "no sum" : nothing_);
    EXPECT_EQ(set(b, IPPROTO_UDP, kNoCheck6Receive, 1), 0);
    EXPECT_EQ(get(b, IPPROTO_UDP, kNoCheck6Receive), 1);
    send(a, b, "no sum");
    EXPECT_EQ(receive(b), "no sum");
}

INSTANTIATE_TEST_SUITE_P(Families, UdpLiteTest, testing::Values(AF_INET, AF_INET6));

// Datagrams as others could send them.
class UdpLiteWireTest : public testing::Test {
  protected:
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "raw sockets need root";
        raw_.reset(socket(AF_INET, SOCK_RAW, IPPROTO_UDPLITE));
        ASSERT_GE(raw_, 0);
        address_ = loopback();
        socklen_t length = sizeof(address_);
        ASSERT_EQ(bind(receiver_, as_any(address_), sizeof(address_)), 0);
        ASSERT_EQ(getsockname(receiver_, as_any(address_), &length), 0);
    }
    // What arrives of a datagram with this coverage field, whose checksum covers so many bytes.
    std::string send(uint16_t field, size_t covered, const std::string& text, uint16_t error = 0) {
        std::string packet(8, '\0');
        packet += text;
        uint16_t words[3] = {htons(7777), address_.sin_port, htons(field)};
        memcpy(packet.data(), words, sizeof(words));
        uint32_t sum = 2 * ntohl(address_.sin_addr.s_addr) / 65536 + 2 + IPPROTO_UDPLITE +
                       static_cast<uint32_t>(packet.size());
        for (size_t i = 0; i < covered; i++) {
            sum += static_cast<uint32_t>(static_cast<unsigned char>(packet[i])) << (i % 2 ? 0 : 8);
        }
        while (sum > 65535) sum = sum % 65536 + sum / 65536;
        uint16_t checksum = htons(static_cast<uint16_t>(~sum ^ error));
        memcpy(packet.data() + 6, &checksum, 2);
        EXPECT_EQ(sendto(raw_, packet.data(), packet.size(), 0, as_any(address_), sizeof(address_)),
                  static_cast<ssize_t>(packet.size()));
        char buffer[100];
        ssize_t got = recv(receiver_, buffer, sizeof(buffer), MSG_DONTWAIT);
        return got < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(got));
    }

    Descriptor raw_;
    Descriptor receiver_{socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)};
    sockaddr_in address_;
};

TEST_F(UdpLiteWireTest, OnlyWhatIsCoveredMustHold) {
    EXPECT_EQ(send(0, 12, "text"), "text");
    EXPECT_EQ(send(12, 12, "text"), "text");
    EXPECT_EQ(send(8, 8, "text"), "text");
    EXPECT_EQ(send(10, 10, "text"), "text");
    EXPECT_EQ(send(8, 12, "text"), "nothing");
    EXPECT_EQ(send(0, 8, "text"), "nothing");
    EXPECT_EQ(send(10, 10, "text", 1), "nothing");
}

TEST_F(UdpLiteWireTest, CoverageMustBePossible) {
    EXPECT_EQ(send(7, 8, "text"), "nothing");
    EXPECT_EQ(send(13, 12, "text"), "nothing");
}

}  // namespace
