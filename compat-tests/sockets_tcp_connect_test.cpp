// TCP over loopback: the ways to make a connection.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "inet_support.h"

namespace {

TEST(TcpConnect, NamesBothEnds) {
    TcpPair pair;
    sockaddr_in name{}, peer{};
    socklen_t length = sizeof(name);
    ASSERT_EQ(getsockname(pair.client, as_any(name), &length), 0);
    EXPECT_EQ(length, sizeof(sockaddr_in));
    EXPECT_EQ(name.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    length = sizeof(peer);
    ASSERT_EQ(getpeername(pair.server, as_any(peer), &length), 0);
    EXPECT_EQ(peer.sin_port, name.sin_port);
    EXPECT_EQ(peer.sin_addr.s_addr, name.sin_addr.s_addr);
    ASSERT_EQ(getsockname(pair.server, as_any(name), &length), 0);
    EXPECT_EQ(name.sin_port, pair.address.sin_port);
}

TEST(TcpConnect, RefusedWhereNobodyListens) {
    sockaddr_in address;
    { Descriptor gone = make_listener(address); }
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
    // The socket can be used again.
    Descriptor listener = make_listener(address);
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), 0);
}

TEST(TcpConnect, NonBlockingIsToldLater) {
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_EQ(events_of(client, POLLOUT), POLLOUT);
    EXPECT_EQ(error_of(client), 0);
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), 0);
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EISCONN);
}

TEST(TcpConnect, NonBlockingRefusal) {
    sockaddr_in address;
    { Descriptor gone = make_listener(address); }
    Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EINPROGRESS);
    short events = events_of(client, POLLIN | POLLOUT);
    EXPECT_EQ(events, POLLIN | POLLOUT | POLLERR | POLLHUP);
    EXPECT_EQ(error_of(client), ECONNREFUSED);
    EXPECT_EQ(error_of(client), 0);
}

TEST(TcpConnect, ArgumentErrors) {
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = loopback(1);
    EXPECT_EQ(connect(client, as_any(address), 1), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(connect(client, as_any(address), 8), -1);
    EXPECT_EQ(errno, EINVAL);
    address.sin_family = AF_INET6;
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EAFNOSUPPORT);
    sockaddr_in name;
    socklen_t length = sizeof(name);
    EXPECT_EQ(getpeername(client, as_any(name), &length), -1);
    EXPECT_EQ(errno, ENOTCONN);
    char byte;
    EXPECT_EQ(recv(client, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(send(client, &byte, 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(events_of(client, POLLIN | POLLOUT, 0), POLLOUT | POLLHUP);
    EXPECT_EQ(shutdown(client, SHUT_RDWR), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(accept(client, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(events_of(client, POLLIN | POLLOUT, 0), POLLIN | POLLOUT | POLLHUP);
    address = loopback(1);
    address.sin_addr.s_addr = htonl(0xe0000001);
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, ENETUNREACH);
}

TEST(TcpConnect, TheWildcardIsThisMachine) {
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    address.sin_addr.s_addr = 0;
    ASSERT_EQ(connect(client, as_any(address), sizeof(address)), 0);
    sockaddr_in peer;
    socklen_t length = sizeof(peer);
    ASSERT_EQ(getpeername(client, as_any(peer), &length), 0);
    EXPECT_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

TEST(TcpConnect, AnotherAddressOfTheLoopbackNetwork) {
    Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = loopback();
    address.sin_addr.s_addr = htonl(0x7f000105);
    ASSERT_EQ(bind(listener, as_any(address), sizeof(address)), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    socklen_t length = sizeof(address);
    ASSERT_EQ(getsockname(listener, as_any(address), &length), 0);
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(connect(client, as_any(address), sizeof(address)), 0);
    sockaddr_in wrong = loopback(ntohs(address.sin_port));
    Descriptor other(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(connect(other, as_any(wrong), sizeof(wrong)), -1);
    EXPECT_EQ(errno, ECONNREFUSED);
}

TEST(TcpConnect, DisconnectByUnspecified) {
    TcpPair pair;
    sockaddr_in none{};
    none.sin_family = AF_UNSPEC;
    EXPECT_EQ(connect(pair.client, as_any(none), sizeof(none)), 0);
    sockaddr_in peer;
    socklen_t length = sizeof(peer);
    EXPECT_EQ(getpeername(pair.client, as_any(peer), &length), -1);
    EXPECT_EQ(errno, ENOTCONN);
    char byte;
    EXPECT_EQ(recv(pair.server, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(connect(pair.client, as_any(pair.address), sizeof(pair.address)), 0);
}

TEST(TcpAccept, GivesThePeerAndFlags) {
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(connect(client, as_any(address), sizeof(address)), 0);
    EXPECT_EQ(events_of(listener, POLLIN), POLLIN);
    sockaddr_in peer{};
    socklen_t length = sizeof(peer);
    Descriptor server(accept4(listener, as_any(peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    ASSERT_GE(server, 0);
    sockaddr_in name;
    length = sizeof(name);
    getsockname(client, as_any(name), &length);
    EXPECT_EQ(peer.sin_port, name.sin_port);
    EXPECT_TRUE(fcntl(server, F_GETFL) & O_NONBLOCK);
    EXPECT_TRUE(fcntl(server, F_GETFD) & FD_CLOEXEC);
    EXPECT_EQ(events_of(listener, POLLIN, 0), 0);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    EXPECT_EQ(accept(listener, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST(TcpAccept, SleepsUntilSomebodyComes) {
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    std::thread later([&] {
        usleep(20000);
        Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
        EXPECT_EQ(connect(client, as_any(address), sizeof(address)), 0);
    });
    Descriptor server(accept(listener, nullptr, nullptr));
    EXPECT_GE(server, 0);
    later.join();
}

TEST(TcpAccept, TimesOut) {
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    timeval timeout{0, 30000};
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    EXPECT_EQ(accept(listener, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EAGAIN);
}

TEST(TcpAccept, ListenerTakesNoData) {
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    char byte = 0;
    EXPECT_EQ(recv(listener, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ENOTCONN);
    EXPECT_EQ(send(listener, &byte, 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(connect(listener, as_any(address), sizeof(address)), -1);
    EXPECT_EQ(errno, EISCONN);
    int accepts = 0;
    socklen_t length = sizeof(accepts);
    ASSERT_EQ(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length), 0);
    EXPECT_EQ(accepts, 1);
    int unread;
    EXPECT_EQ(ioctl(listener, FIONREAD, &unread), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(TcpAccept, BacklogCountsAsLinuxDoes) {
    sockaddr_in address;
    Descriptor listener = make_listener(address, 1);
    // A backlog of 1 holds two connections; the third waits for its handshake.
    Descriptor clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        (void)connect(clients[i], as_any(address), sizeof(address));
    }
    EXPECT_EQ(events_of(clients[0], POLLOUT), POLLOUT);
    EXPECT_EQ(events_of(clients[1], POLLOUT), POLLOUT);
    for (int i = 0; i < 2; i++) {
        Descriptor server(accept(listener, nullptr, nullptr));
        EXPECT_GE(server, 0);
    }
    EXPECT_EQ(events_of(clients[2], POLLOUT) & POLLOUT, POLLOUT);
}

TEST(TcpConnect, ManyInARow) {
    sockaddr_in address;
    Descriptor listener = make_listener(address, 64);
    for (int i = 0; i < 500; i++) {
        Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
        ASSERT_EQ(connect(client, as_any(address), sizeof(address)), 0) << i;
        Descriptor server(accept(listener, nullptr, nullptr));
        ASSERT_EQ(send(client, &i, sizeof(i), 0), 4);
        int got = -1;
        ASSERT_EQ(recv(server, &got, sizeof(got), 0), 4);
        ASSERT_EQ(got, i);
    }
}

TEST(TcpConnect, OverIPv6) {
    Descriptor listener(socket(AF_INET6, SOCK_STREAM, 0));
    if (listener < 0) GTEST_SKIP() << "no IPv6";
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_addr = in6addr_loopback;
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        GTEST_SKIP() << "no IPv6 loopback";
    }
    ASSERT_EQ(listen(listener, 4), 0);
    socklen_t length = sizeof(address);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    EXPECT_EQ(length, sizeof(address));
    Descriptor client(socket(AF_INET6, SOCK_STREAM, 0));
    ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    Descriptor server(accept(listener, nullptr, nullptr));
    ASSERT_EQ(send(client, "six", 3, 0), 3);
    char text[8];
    EXPECT_EQ(recv(server, text, sizeof(text), 0), 3);
}

TEST(TcpConnect, DualStackListener) {
    Descriptor listener(socket(AF_INET6, SOCK_STREAM, 0));
    if (listener < 0) GTEST_SKIP() << "no IPv6";
    ASSERT_EQ(listen(listener, 4), 0);
    sockaddr_in6 name{};
    socklen_t length = sizeof(name);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length), 0);
    Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address = loopback(ntohs(name.sin6_port));
    ASSERT_EQ(connect(client, as_any(address), sizeof(address)), 0);
    sockaddr_in6 peer{};
    length = sizeof(peer);
    Descriptor server(accept(listener, reinterpret_cast<sockaddr*>(&peer), &length));
    ASSERT_GE(server, 0);
    EXPECT_EQ(peer.sin6_family, AF_INET6);
    EXPECT_TRUE(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr));
}

}  // namespace
