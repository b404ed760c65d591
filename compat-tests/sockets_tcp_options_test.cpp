// The options of TCP sockets: what is there at first, what can be set, and what cannot.
#include <arpa/inet.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace {

class TcpOptions : public testing::Test {
  protected:
    TcpOptions() : fd(socket(AF_INET, SOCK_STREAM, 0)) {}
    ~TcpOptions() override { close(fd); }
    int get(int option, int level = IPPROTO_TCP) {
        int value = -12345;
        socklen_t length = sizeof(value);
        if (getsockopt(fd, level, option, &value, &length) != 0) return -errno;
        EXPECT_EQ(length, sizeof(int));
        return value;
    }
    int set(int option, int value, int level = IPPROTO_TCP) {
        return setsockopt(fd, level, option, &value, sizeof(value)) == 0 ? 0 : errno;
    }
    int fd;
};

TEST_F(TcpOptions, Defaults) {
    EXPECT_EQ(get(TCP_NODELAY), 0);
    EXPECT_EQ(get(TCP_CORK), 0);
    EXPECT_EQ(get(TCP_MAXSEG), 536);
    EXPECT_EQ(get(TCP_KEEPIDLE), 7200);
    EXPECT_EQ(get(TCP_KEEPINTVL), 75);
    EXPECT_EQ(get(TCP_KEEPCNT), 9);
    EXPECT_EQ(get(TCP_SYNCNT), 6);
    EXPECT_EQ(get(TCP_LINGER2), 60);
    EXPECT_EQ(get(TCP_DEFER_ACCEPT), 0);
    EXPECT_EQ(get(TCP_USER_TIMEOUT), 0);
    EXPECT_EQ(get(TCP_WINDOW_CLAMP), 0);
    EXPECT_EQ(get(TCP_FASTOPEN_CONNECT), 0);
}

TEST_F(TcpOptions, WhatIsSetIsShown) {
    struct {
        int option, given, shown;
    } const cases[] = {
        {TCP_NODELAY, 5, 1},
        {TCP_CORK, 1, 1},
        {TCP_KEEPIDLE, 60, 60},
        {TCP_KEEPINTVL, 10, 10},
        {TCP_KEEPCNT, 5, 5},
        {TCP_SYNCNT, 3, 3},
        {TCP_USER_TIMEOUT, 5000, 5000},
        {TCP_LINGER2, 20, 20},
        {TCP_LINGER2, -1, -1},
        {TCP_DEFER_ACCEPT, 1, 1},
        {TCP_DEFER_ACCEPT, 5, 7},
        {TCP_NOTSENT_LOWAT, 16384, 16384},
    };
    for (const auto& [option, given, shown] : cases) {
        EXPECT_EQ(set(option, given), 0) << option;
        EXPECT_EQ(get(option), shown) << option << " set to " << given;
    }
    EXPECT_EQ(set(TCP_MAXSEG, 1000), 0);
}

TEST_F(TcpOptions, RangesAreChecked) {
    EXPECT_EQ(set(TCP_KEEPIDLE, 0), EINVAL);
    EXPECT_EQ(set(TCP_KEEPIDLE, 32768), EINVAL);
    EXPECT_EQ(set(TCP_KEEPINTVL, 0), EINVAL);
    EXPECT_EQ(set(TCP_KEEPCNT, 128), EINVAL);
    EXPECT_EQ(set(TCP_SYNCNT, 0), EINVAL);
    EXPECT_EQ(set(TCP_SYNCNT, 128), EINVAL);
    EXPECT_EQ(set(TCP_MAXSEG, 10), EINVAL);
    EXPECT_EQ(set(TCP_USER_TIMEOUT, -1), EINVAL);
    EXPECT_EQ(set(9999, 1), ENOPROTOOPT);
    EXPECT_EQ(get(9999), -ENOPROTOOPT);
    char byte = 1;
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &byte, 1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, nullptr, 4), -1);
    EXPECT_EQ(errno, EFAULT);
}

TEST_F(TcpOptions, Congestion) {
    char name[16] = {};
    socklen_t length = sizeof(name);
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    EXPECT_STRNE(name, "");  // the machine's default
    EXPECT_EQ(length, 16u);
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    length = sizeof(name);
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &length), 0);
    EXPECT_STREQ(name, "reno");
    EXPECT_EQ(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "nothing", 7), -1);
    EXPECT_EQ(errno, ENOENT);
}

TEST_F(TcpOptions, BuffersAreDoubled) {
    EXPECT_EQ(get(SO_SNDBUF, SOL_SOCKET), 16384);
    EXPECT_EQ(get(SO_RCVBUF, SOL_SOCKET), 131072);
    EXPECT_EQ(set(SO_SNDBUF, 30000, SOL_SOCKET), 0);
    EXPECT_EQ(get(SO_SNDBUF, SOL_SOCKET), 60000);
    EXPECT_EQ(set(SO_RCVBUF, 30000, SOL_SOCKET), 0);
    EXPECT_EQ(get(SO_RCVBUF, SOL_SOCKET), 60000);
}

TEST_F(TcpOptions, AcceptedSocketsInherit) {
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    set(TCP_NODELAY, 1);
    set(TCP_KEEPIDLE, 77);
    set(TCP_USER_TIMEOUT, 3000);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    int tos = 0x10;
    setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    ASSERT_EQ(listen(fd, 4), 0);
    sockaddr_in address{};
    socklen_t length = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
    int server = accept(fd, nullptr, nullptr);
    ASSERT_GE(server, 0);
    std::swap(fd, server);
    EXPECT_EQ(get(SO_KEEPALIVE, SOL_SOCKET), 1);
    EXPECT_EQ(get(TCP_NODELAY), 1);
    EXPECT_EQ(get(TCP_KEEPIDLE), 77);
    EXPECT_EQ(get(TCP_USER_TIMEOUT), 3000);
    EXPECT_EQ(get(SO_REUSEADDR, SOL_SOCKET), 1);
    EXPECT_EQ(get(IP_TOS, IPPROTO_IP), 0x10);
    EXPECT_EQ(get(SO_TYPE, SOL_SOCKET), SOCK_STREAM);
    EXPECT_EQ(get(SO_PROTOCOL, SOL_SOCKET), IPPROTO_TCP);
    EXPECT_EQ(get(SO_DOMAIN, SOL_SOCKET), AF_INET);
    close(client);
    close(server);
}

TEST_F(TcpOptions, Info) {
    tcp_info info;
    socklen_t length = sizeof(info);
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(info.tcpi_state, 7);  // TCP_CLOSE
    ASSERT_EQ(listen(fd, 5), 0);
    length = sizeof(info);
    ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(info.tcpi_state, 10);  // TCP_LISTEN
    EXPECT_EQ(info.tcpi_unacked, 0u);
    EXPECT_EQ(info.tcpi_sacked, 5u);
    sockaddr_in address{};
    length = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
    int server = accept(fd, nullptr, nullptr);
    send(client, "hello", 5, 0);
    char text[8];
    recv(server, text, sizeof(text), 0);
    length = sizeof(info);
    ASSERT_EQ(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(info.tcpi_state, 1);
    EXPECT_EQ(info.tcpi_bytes_received, 5u);
    EXPECT_EQ(info.tcpi_options & (TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE),
              TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE);
    EXPECT_EQ(info.tcpi_snd_cwnd, 10u);
    EXPECT_EQ(info.tcpi_data_segs_in, 1u);
    EXPECT_GE(info.tcpi_rto, 200000u);
    // A short room gets a part.
    length = 8;
    ASSERT_EQ(getsockopt(server, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    EXPECT_EQ(length, 8u);
    close(client);
    close(server);
}

TEST_F(TcpOptions, DeferAcceptWaitsForData) {
    ASSERT_EQ(set(TCP_DEFER_ACCEPT, 5), 0);
    ASSERT_EQ(listen(fd, 4), 0);
    sockaddr_in address{};
    socklen_t length = sizeof(address);
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
    timeval timeout{0, 50000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    EXPECT_EQ(accept(fd, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
    send(client, "data", 4, 0);
    int server = accept(fd, nullptr, nullptr);
    EXPECT_GE(server, 0);
    char text[8];
    EXPECT_EQ(recv(server, text, sizeof(text), MSG_DONTWAIT), 4);
    close(client);
    close(server);
}

TEST_F(TcpOptions, SocketKinds) {
    EXPECT_EQ(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), -1);
    EXPECT_EQ(errno, EPROTONOSUPPORT);
    int explicit_protocol = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    EXPECT_GE(explicit_protocol, 0);
    close(explicit_protocol);
}

}  // namespace
