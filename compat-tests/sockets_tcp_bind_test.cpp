// TCP ports: who may have one, and when it is free again.
#include <arpa/inet.h>
#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

namespace {

sockaddr_in address_of(uint32_t address, uint16_t port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_addr.s_addr = htonl(address);
    result.sin_port = htons(port);
    return result;
}

class TcpBind : public testing::Test {
  protected:
    ~TcpBind() override {
        for (int fd : fds_) close(fd);
    }
    int make(bool reuse_address = false, bool reuse_port = false, int family = AF_INET) {
        int fd = socket(family, SOCK_STREAM, 0);
        int on = 1;
        if (reuse_address) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
        fds_.insert(fd);
        return fd;
    }
    void drop(int fd) {
        close(fd);
        fds_.erase(fd);
    }
    // 0 or errno.
    static int bind_to(int fd, uint32_t address, uint16_t port) {
        sockaddr_in to = address_of(address, port);
        return bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 ? 0 : errno;
    }
    static uint16_t port_of(int fd) {
        sockaddr_in name{};
        socklen_t length = sizeof(name);
        getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length);
        return ntohs(name.sin_port);
    }
    static int connect_to(int fd, uint16_t port) {
        sockaddr_in to = address_of(INADDR_LOOPBACK, port);
        return connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 ? 0 : errno;
    }

  private:
    std::set<int> fds_;
};

TEST_F(TcpBind, EphemeralPort) {
    int fd = make();
    ASSERT_EQ(bind_to(fd, INADDR_LOOPBACK, 0), 0);
    EXPECT_GE(port_of(fd), 1024);
    EXPECT_EQ(bind_to(fd, INADDR_LOOPBACK, 0), EINVAL);
}

TEST_F(TcpBind, PortIsTaken) {
    int first = make();
    ASSERT_EQ(bind_to(first, INADDR_LOOPBACK, 0), 0);
    uint16_t port = port_of(first);
    EXPECT_EQ(bind_to(make(), INADDR_LOOPBACK, port), EADDRINUSE);
    EXPECT_EQ(bind_to(make(), INADDR_ANY, port), EADDRINUSE);
    EXPECT_EQ(bind_to(make(), 0x7f000002, port), 0);
    drop(first);
    EXPECT_EQ(bind_to(make(), INADDR_LOOPBACK, port), 0);
}

TEST_F(TcpBind, ReuseAddressSharesWhatDoesNotListen) {
    int first = make(true);
    ASSERT_EQ(bind_to(first, INADDR_LOOPBACK, 0), 0);
    uint16_t port = port_of(first);
    EXPECT_EQ(bind_to(make(), INADDR_LOOPBACK, port), EADDRINUSE);
    int second = make(true);
    EXPECT_EQ(bind_to(second, INADDR_LOOPBACK, port), 0);
    ASSERT_EQ(listen(first, 4), 0);
    EXPECT_EQ(listen(second, 4), -1);
    EXPECT_EQ(errno, EADDRINUSE);
    EXPECT_EQ(bind_to(make(true), INADDR_LOOPBACK, port), EADDRINUSE);
}

TEST_F(TcpBind, ReusePortSharesListeners) {
    int first = make(false, true);
    ASSERT_EQ(bind_to(first, INADDR_LOOPBACK, 0), 0);
    uint16_t port = port_of(first);
    ASSERT_EQ(listen(first, 64), 0);
    int second = make(false, true);
    ASSERT_EQ(bind_to(second, INADDR_LOOPBACK, port), 0);
    ASSERT_EQ(listen(second, 64), 0);
    EXPECT_EQ(bind_to(make(), INADDR_LOOPBACK, port), EADDRINUSE);
    // Both get some of the connections.
    constexpr int kConnections = 64;
    int clients[kConnections];
    for (int& client : clients) {
        client = make();
        ASSERT_EQ(connect_to(client, port), 0);
    }
    int counts[2] = {};
    for (int i = 0; i < 2; i++) {
        int listener = i ? second : first;
        timeval timeout{0, 50000};
        setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        for (int fd; (fd = accept(listener, nullptr, nullptr)) >= 0; counts[i]++) close(fd);
    }
    EXPECT_EQ(counts[0] + counts[1], kConnections);
    EXPECT_GT(counts[0], 5);
    EXPECT_GT(counts[1], 5);
}

TEST_F(TcpBind, AConnectionKeepsThePort) {
    int listener = make();
    ASSERT_EQ(bind_to(listener, INADDR_LOOPBACK, 0), 0);
    ASSERT_EQ(listen(listener, 4), 0);
    uint16_t port = port_of(listener);
    int client = make();
    ASSERT_EQ(connect_to(client, port), 0);
    int server = accept(listener, nullptr, nullptr);
    ASSERT_GE(server, 0);
    drop(listener);
    EXPECT_EQ(bind_to(make(), INADDR_LOOPBACK, port), EADDRINUSE);
    close(server);
    EXPECT_EQ(bind_to(make(), INADDR_LOOPBACK, port), EADDRINUSE);
}

TEST_F(TcpBind, AServerRestartsWithReuseAddress) {
    int listener = make(true);
    ASSERT_EQ(bind_to(listener, INADDR_LOOPBACK, 0), 0);
    ASSERT_EQ(listen(listener, 4), 0);
    uint16_t port = port_of(listener);
    int client = make();
    ASSERT_EQ(connect_to(client, port), 0);
    int server = accept(listener, nullptr, nullptr);
    close(server);  // first: TIME-WAIT is on the server's side
    drop(listener);
    drop(client);
    int again = make(true);
    EXPECT_EQ(bind_to(again, INADDR_LOOPBACK, port), 0);
    EXPECT_EQ(listen(again, 4), 0);
    int second = make();
    EXPECT_EQ(connect_to(second, port), 0);
}

TEST_F(TcpBind, ArgumentErrors) {
    int fd = make();
    sockaddr_in to = address_of(INADDR_LOOPBACK, 0);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&to), 8), -1);
    EXPECT_EQ(errno, EINVAL);
    to.sin_family = AF_INET6;
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), -1);
    EXPECT_EQ(errno, EAFNOSUPPORT);
    EXPECT_EQ(bind_to(fd, 0x08080808, 0), EADDRNOTAVAIL);
    to = address_of(INADDR_ANY, 0);
    to.sin_family = AF_UNSPEC;
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
}

TEST_F(TcpBind, ListenChoosesAPort) {
    int fd = make();
    ASSERT_EQ(listen(fd, 4), 0);
    EXPECT_NE(port_of(fd), 0);
    EXPECT_EQ(listen(fd, 8), 0);
    int client = make();
    EXPECT_EQ(connect_to(client, port_of(fd)), 0);
    EXPECT_EQ(listen(client, 4), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(TcpBind, ConnectFromABoundPort) {
    int listener = make();
    ASSERT_EQ(listen(listener, 4), 0);
    int client = make(true);
    ASSERT_EQ(bind_to(client, INADDR_ANY, 0), 0);
    uint16_t port = port_of(client);
    ASSERT_EQ(connect_to(client, port_of(listener)), 0);
    EXPECT_EQ(port_of(client), port);
    // The same flow twice.
    int again = make(true);
    ASSERT_EQ(bind_to(again, INADDR_ANY, port), 0);
    EXPECT_EQ(connect_to(again, port_of(listener)), EADDRNOTAVAIL);
}

}  // namespace
