// How programs learn of interfaces: getifaddrs, ioctl (man 7 netdevice) and netlink (man 7
// netlink).
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netpacket/packet.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

namespace {

TEST(Interfaces, GetifaddrsHasLoopback) {
    ifaddrs* list = nullptr;
    ASSERT_EQ(getifaddrs(&list), 0);
    bool v4 = false, link = false;
    for (ifaddrs* at = list; at; at = at->ifa_next) {
        if (strcmp(at->ifa_name, "lo") != 0 || !at->ifa_addr) continue;
        EXPECT_TRUE(at->ifa_flags & IFF_LOOPBACK);
        EXPECT_TRUE(at->ifa_flags & IFF_UP);
        if (at->ifa_addr->sa_family == AF_INET) {
            v4 = true;
            auto* address = reinterpret_cast<sockaddr_in*>(at->ifa_addr);
            auto* mask = reinterpret_cast<sockaddr_in*>(at->ifa_netmask);
            EXPECT_EQ(address->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
            EXPECT_EQ(mask->sin_addr.s_addr, htonl(0xff000000));
        } else if (at->ifa_addr->sa_family == AF_PACKET) {
            link = true;
            auto* address = reinterpret_cast<sockaddr_ll*>(at->ifa_addr);
            EXPECT_EQ(address->sll_ifindex, 1);
            EXPECT_EQ(address->sll_halen, 6);
        }
    }
    EXPECT_TRUE(v4);
    EXPECT_TRUE(link);
    freeifaddrs(list);
}

TEST(Interfaces, NamesAndIndices) {
    EXPECT_EQ(if_nametoindex("lo"), 1u);
    char name[IF_NAMESIZE];
    ASSERT_TRUE(if_indextoname(1, name));
    EXPECT_STREQ(name, "lo");
    EXPECT_EQ(if_nametoindex("nosuch0"), 0u);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_FALSE(if_indextoname(9999, name));
    EXPECT_EQ(errno, ENXIO);
}

TEST(Interfaces, IoctlsTellOfThem) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request{};
    strcpy(request.ifr_name, "lo");
    ASSERT_EQ(ioctl(fd, SIOCGIFADDR, &request), 0);
    EXPECT_EQ(reinterpret_cast<sockaddr_in&>(request.ifr_addr).sin_addr.s_addr,
              htonl(INADDR_LOOPBACK));
    ASSERT_EQ(ioctl(fd, SIOCGIFNETMASK, &request), 0);
    EXPECT_EQ(reinterpret_cast<sockaddr_in&>(request.ifr_netmask).sin_addr.s_addr,
              htonl(0xff000000));
    ASSERT_EQ(ioctl(fd, SIOCGIFFLAGS, &request), 0);
    EXPECT_TRUE(request.ifr_flags & IFF_LOOPBACK);
    ASSERT_EQ(ioctl(fd, SIOCGIFMTU, &request), 0);
    EXPECT_EQ(request.ifr_mtu, 65536);
    ASSERT_EQ(ioctl(fd, SIOCGIFHWADDR, &request), 0);
    EXPECT_EQ(request.ifr_hwaddr.sa_family, 772);
    std::vector<ifreq> entries(16);
    ifconf list{};
    list.ifc_len = static_cast<int>(entries.size() * sizeof(ifreq));
    list.ifc_req = entries.data();
    ASSERT_EQ(ioctl(fd, SIOCGIFCONF, &list), 0);
    ASSERT_GE(list.ifc_len, static_cast<int>(sizeof(ifreq)));
    EXPECT_STREQ(entries[0].ifr_name, "lo");
    strcpy(request.ifr_name, "nosuch0");
    EXPECT_EQ(ioctl(fd, SIOCGIFADDR, &request), -1);
    EXPECT_EQ(errno, ENODEV);
    EXPECT_EQ(ioctl(fd, SIOCGIFADDR, 8), -1);
    EXPECT_EQ(errno, EFAULT);
    close(fd);
}

class Netlink : public testing::Test {
  protected:
    void SetUp() override {
        fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        ASSERT_GE(fd_, 0);
    }
    ~Netlink() override { close(fd_); }
    struct Request {
        nlmsghdr header;
        rtgenmsg body;
        char padding[64];
    };
    std::vector<char> ask(uint16_t type, uint16_t flags,
                          size_t size = NLMSG_LENGTH(sizeof(rtgenmsg))) {
        Request request{};
        request.header = {static_cast<uint32_t>(size), type, flags, 77, 0};
        EXPECT_EQ(send(fd_, &request, size, 0), static_cast<ssize_t>(size));
        std::vector<char> answer(65536);
        ssize_t got = recv(fd_, answer.data(), answer.size(), 0);
        answer.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return answer;
    }
    int fd_ = -1;
};

TEST_F(Netlink, DumpsEndWithDone) {
    for (uint16_t type : {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE}) {
        std::vector<char> answer = ask(type, NLM_F_REQUEST | NLM_F_DUMP);
        bool done = false;
        for (int i = 0; i < 10 && !done; i++) {
            auto* message = reinterpret_cast<nlmsghdr*>(answer.data());
            size_t left = answer.size();
            for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
                EXPECT_EQ(message->nlmsg_seq, 77u);
                EXPECT_TRUE(message->nlmsg_flags & NLM_F_MULTI);
                if (message->nlmsg_type == NLMSG_DONE) {
                    done = true;
                } else {
                    EXPECT_EQ(message->nlmsg_type, type - 2);
                }
            }
            if (done) break;
            answer.resize(65536);
            ssize_t got = recv(fd_, answer.data(), answer.size(), 0);
            ASSERT_GT(got, 0);
            answer.resize(static_cast<size_t>(got));
        }
        EXPECT_TRUE(done) << type;
    }
}

TEST_F(Netlink, PortIsTheProcess) {
    sockaddr_nl address{AF_NETLINK, 0, 0, 0};
    ASSERT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    socklen_t length = sizeof(address);
    ASSERT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(length, sizeof(address));
    EXPECT_EQ(address.nl_pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(address.nl_groups, 0u);
}

TEST_F(Netlink, UnknownOnesAreErrors) {
    std::vector<char> answer = ask(RTM_GETLINK, NLM_F_REQUEST, NLMSG_LENGTH(sizeof(ifinfomsg)));
    ASSERT_GE(answer.size(), NLMSG_LENGTH(sizeof(nlmsgerr)));
    auto* message = reinterpret_cast<nlmsghdr*>(answer.data());
    EXPECT_EQ(message->nlmsg_type, NLMSG_ERROR);
    EXPECT_LT(static_cast<nlmsgerr*>(NLMSG_DATA(message))->error, 0);
    EXPECT_EQ(socket(AF_NETLINK, SOCK_STREAM, NETLINK_ROUTE), -1);
    EXPECT_EQ(errno, ESOCKTNOSUPPORT);
    EXPECT_EQ(socket(AF_NETLINK, SOCK_RAW, 999), -1);
    EXPECT_EQ(errno, EPROTONOSUPPORT);
}

TEST(RawSocket, PingsItself) {
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (fd < 0) GTEST_SKIP() << "needs root";
    timeval limit{5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    struct {
        icmphdr header;
        char data[16];
    } echo{};
    echo.header.type = ICMP_ECHO;
    echo.header.un.echo.id = htons(4242);
    memcpy(echo.data, "abcdefghijklmnop", 16);
    uint32_t sum = 0;
    auto* words = reinterpret_cast<uint16_t*>(&echo);
    for (size_t i = 0; i < sizeof(echo) / 2; i++) sum += words[i];
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    echo.header.checksum = static_cast<uint16_t>(~sum);
    sockaddr_in to{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    ASSERT_EQ(sendto(fd, &echo, sizeof(echo), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)),
              static_cast<ssize_t>(sizeof(echo)));
    for (int i = 0; i < 10; i++) {
        char packet[256];
        ssize_t size = recv(fd, packet, sizeof(packet), 0);
        ASSERT_EQ(size, static_cast<ssize_t>(20 + sizeof(echo))) << "with its IP header";
        auto* reply = reinterpret_cast<icmphdr*>(packet + 20);
        if (reply->type != ICMP_ECHOREPLY) continue;
        EXPECT_EQ(ntohs(reply->un.echo.id), 4242);
        EXPECT_EQ(memcmp(packet + 28, echo.data, 16), 0);
        close(fd);
        return;
    }
    FAIL() << "no reply";
}

}  // namespace
