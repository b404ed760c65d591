// AF_UNIX stream sockets: connections, bytes, half close, readiness.
#include "sockets_support.h"

namespace {

class UnixStreamTest : public SocketsTest {
  protected:
    Descriptor make(int flags = SOCK_NONBLOCK) {
        return Descriptor(socket(AF_UNIX, SOCK_STREAM | flags, 0));
    }
    Descriptor make_listener(const UnixAddress& address, int backlog = 5) {
        Descriptor listener = make();
        EXPECT_OK(bind_to(listener, address));
        EXPECT_OK(listen(listener, backlog));
        return listener;
    }
    char buffer_[65536];
};

TEST_F(UnixStreamTest, BytesGoBothWays) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    EXPECT_ERRNO(recv(a, buffer_, 10, 0), EAGAIN);
    EXPECT_EQ(send(a, "one", 3, 0), 3);
    EXPECT_EQ(write(a, "two", 3), 3);
    EXPECT_EQ(write(b, "three", 5), 5);
    EXPECT_EQ(receive_text(b, 0, 4), "onet");
    EXPECT_EQ(read(b, buffer_, 100), 2);
    EXPECT_EQ(receive_text(a), "three");
    EXPECT_ERRNO(recv(b, buffer_, 10, 0), EAGAIN);
    EXPECT_ERRNO(recv(b, buffer_, 0, 0), EAGAIN);
    EXPECT_EQ(read(b, buffer_, 0), 0);
    EXPECT_EQ(send(a, "", 0, 0), 0);
    EXPECT_ERRNO(recv(b, buffer_, 10, 0), EAGAIN);
}

TEST_F(UnixStreamTest, VectorsAreWalked) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    char one[] = "abc", two[] = "defgh";
    iovec out[] = {{one, 3}, {two, 0}, {two, 5}};
    EXPECT_EQ(writev(a, out, 3), 8);
    char first[2], second[6];
    iovec in[] = {{first, 2}, {second, 6}};
    EXPECT_EQ(readv(b, in, 2), 8);
    EXPECT_EQ(std::string(first, 2) + std::string(second, 6), "abcdefgh");
}

TEST_F(UnixStreamTest, LargeWritesComeWhole) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    std::vector<char> data(100000), got;
    for (size_t i = 0; i < data.size(); i++) data[i] = static_cast<char>(i * 7 + i / 251);
    EXPECT_EQ(send(a, data.data(), data.size(), 0), 100000);
    int pending = 0;
    EXPECT_OK(ioctl(b, FIONREAD, &pending));
    EXPECT_EQ(pending, 100000);
    EXPECT_OK(ioctl(a, TIOCOUTQ, &pending));
    EXPECT_GE(pending, 100000);
    for (ssize_t n; (n = recv(b, buffer_, 777, 0)) > 0;)
        got.insert(got.end(), buffer_, buffer_ + n);
    EXPECT_EQ(got, data);
    EXPECT_OK(ioctl(b, FIONREAD, &pending));
    EXPECT_EQ(pending, 0);
    EXPECT_OK(ioctl(a, TIOCOUTQ, &pending));
    EXPECT_EQ(pending, 0);
}

TEST_F(UnixStreamTest, SmallWritesInterleavedWithReadsKeepOrder) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    std::string sent, got;
    for (int i = 0; i < 3000; i++) {
        const std::string piece =
            std::to_string(i * 7919) + std::string(static_cast<size_t>(i % 400), 'p');
        const ssize_t put = send(a, piece.data(), piece.size(), 0);
        if (put > 0) sent += piece.substr(0, static_cast<size_t>(put));
        const ssize_t n = recv(b, buffer_, static_cast<size_t>(i % 500 + 1), 0);
        if (n > 0) got.append(buffer_, static_cast<size_t>(n));
    }
    for (ssize_t n; (n = recv(b, buffer_, sizeof(buffer_), 0)) > 0;)
        got.append(buffer_, static_cast<size_t>(n));
    EXPECT_EQ(got.size(), sent.size());
    EXPECT_EQ(got, sent);
}

TEST_F(UnixStreamTest, BuffersAreLimited) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    size_t total = 0;
    for (ssize_t put; (put = send(a, buffer_, sizeof(buffer_), 0)) > 0;) {
        total += static_cast<size_t>(put);
    }
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_GE(total, 100000u);
    EXPECT_LE(total, 400000u);
    EXPECT_EQ(poll_now(a), 0);
    EXPECT_EQ(poll_now(b), POLLIN | POLLOUT);
    while (recv(b, buffer_, sizeof(buffer_), 0) > 0) continue;
    EXPECT_EQ(poll_now(a), POLLOUT);
    EXPECT_GT(send(a, buffer_, sizeof(buffer_), 0), 0);
}

TEST_F(UnixStreamTest, SendBufferSizeCounts) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    EXPECT_OK(set_option(a, SO_SNDBUF, 10000));
    size_t total = 0;
    for (ssize_t put; (put = send(a, buffer_, 1000, 0)) > 0;) total += static_cast<size_t>(put);
    EXPECT_GE(total, 4000u);
    EXPECT_LE(total, 40000u);
}

TEST_F(UnixStreamTest, PeekLeavesTheBytes) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    send(a, "abc", 3, 0);
    send(a, "def", 3, 0);
    EXPECT_EQ(receive_text(b, MSG_PEEK, 2), "ab");
    EXPECT_EQ(receive_text(b, MSG_PEEK), "abcdef");
    EXPECT_EQ(receive_text(b, 0, 4), "abcd");
    EXPECT_EQ(receive_text(b, MSG_PEEK), "ef");
    EXPECT_EQ(receive_text(b), "ef");
}

TEST_F(UnixStreamTest, PeekOffsetMoves) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    EXPECT_EQ(get_option(b, SO_PEEK_OFF), -1);
    EXPECT_OK(set_option(b, SO_PEEK_OFF, 1));
    send(a, "abcdef", 6, 0);
    EXPECT_EQ(receive_text(b, MSG_PEEK, 2), "bc");
    EXPECT_EQ(receive_text(b, MSG_PEEK, 2), "de");
    EXPECT_EQ(get_option(b, SO_PEEK_OFF), 5);
    EXPECT_EQ(receive_text(b, 0, 3), "abc");
    EXPECT_EQ(get_option(b, SO_PEEK_OFF), 2);
    EXPECT_EQ(receive_text(b, MSG_PEEK, 9), "f");
    EXPECT_ERRNO(recv(b, buffer_, 9, MSG_PEEK), EAGAIN);
}

TEST_F(UnixStreamTest, WaitAllTakesWhatThereIsAtTheEnd) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    send(a, "abc", 3, 0);
    send(a, "def", 3, 0);
    EXPECT_EQ(receive_text(b, MSG_WAITALL, 6), "abcdef");
    send(a, "xyz", 3, 0);
    a.reset();
    EXPECT_EQ(receive_text(b, MSG_WAITALL, 6), "xyz");
}

TEST_F(UnixStreamTest, TimeoutsEnd) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    EXPECT_OK(set_option(b, SO_RCVTIMEO, timeval{0, 40000}));
    EXPECT_ERRNO(recv(b, buffer_, 10, 0), EAGAIN);
    send(a, "ab", 2, 0);
    EXPECT_EQ(receive_text(b, MSG_WAITALL, 6), "ab");
    EXPECT_OK(set_option(a, SO_SNDTIMEO, timeval{0, 40000}));
    size_t total = 0;
    for (ssize_t put; (put = send(a, buffer_, sizeof(buffer_), 0)) > 0;)
        total += static_cast<size_t>(put);
    EXPECT_EQ(errno, EAGAIN);
    EXPECT_GT(total, 65536u);
}

TEST_F(UnixStreamTest, ClosedPeers) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    send(a, "last", 4, 0);
    a.reset();
    EXPECT_EQ(poll_now(b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    EXPECT_EQ(receive_text(b), "last");
    EXPECT_EQ(recv(b, buffer_, 10, 0), 0);
    EXPECT_ERRNO(send(b, "x", 1, 0), EPIPE);
    EXPECT_ERRNO(send(b, "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_EQ(recv(b, buffer_, 10, 0), 0);
}

TEST_F(UnixStreamTest, UnreadDataResetsThePeer) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    send(a, "unread", 6, 0);
    b.reset();
    EXPECT_EQ(poll_now(a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    EXPECT_ERRNO(recv(a, buffer_, 10, 0), ECONNRESET);
    EXPECT_EQ(recv(a, buffer_, 10, 0), 0);
    auto [c, d] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    send(c, "unread", 6, 0);
    d.reset();
    EXPECT_EQ(get_option(c, SO_ERROR), ECONNRESET);
    EXPECT_EQ(get_option(c, SO_ERROR), 0);
}

volatile sig_atomic_t pipe_signals = 0;

TEST_F(UnixStreamTest, BrokenPipesSignal) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    b.reset();
    signal(SIGPIPE, [](int) { pipe_signals = pipe_signals + 1; });
    EXPECT_ERRNO(send(a, "x", 1, MSG_NOSIGNAL), EPIPE);
    EXPECT_EQ(pipe_signals, 0);
    EXPECT_ERRNO(send(a, "x", 1, 0), EPIPE);
    EXPECT_EQ(pipe_signals, 1);
    EXPECT_ERRNO(write(a, "x", 1), EPIPE);
    EXPECT_EQ(pipe_signals, 2);
    signal(SIGPIPE, SIG_IGN);
}

TEST_F(UnixStreamTest, HalfClose) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    send(a, "before", 6, 0);
    EXPECT_OK(shutdown(a, SHUT_WR));
    EXPECT_ERRNO(send(a, "x", 1, 0), EPIPE);
    EXPECT_EQ(poll_now(b), POLLIN | POLLOUT | POLLRDHUP);
    EXPECT_EQ(receive_text(b), "before");
    EXPECT_EQ(recv(b, buffer_, 10, 0), 0);
    EXPECT_EQ(send(b, "back", 4, 0), 4);
    EXPECT_EQ(receive_text(a), "back");
    EXPECT_EQ(poll_now(a), POLLOUT);
    EXPECT_OK(shutdown(a, SHUT_RD));
    EXPECT_EQ(recv(a, buffer_, 10, 0), 0);
    EXPECT_EQ(poll_now(a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
    EXPECT_ERRNO(send(b, "x", 1, 0), EPIPE);
    EXPECT_ERRNO(shutdown(a, 3), EINVAL);
    EXPECT_ERRNO(shutdown(a, -1), EINVAL);
}

TEST_F(UnixStreamTest, ConnectionsByPath) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address);
    struct stat st;
    ASSERT_OK(stat("socket", &st));
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
    EXPECT_EQ(st.st_mode & 0777, 0755u);
    EXPECT_ERRNO(open("socket", O_RDWR), ENXIO);
    EXPECT_EQ(get_option(listener, SO_ACCEPTCONN), 1);
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EAGAIN);
    EXPECT_EQ(poll_now(listener), 0);

    Descriptor client = make();
    EXPECT_EQ(poll_now(client), POLLOUT | POLLHUP);
    ASSERT_OK(connect_to(client, address));
    EXPECT_EQ(poll_now(listener), POLLIN);
    EXPECT_EQ(send(client, "early", 5, 0), 5);  // nobody has accepted it yet

    sockaddr_un name;
    socklen_t length = sizeof(name);
    Descriptor server(accept4(listener, reinterpret_cast<sockaddr*>(&name), &length,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    ASSERT_GE(server, 0);
    EXPECT_EQ(length, sizeof(sa_family_t));  // the client has no name
    EXPECT_EQ(name.sun_family, AF_UNIX);
    EXPECT_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(server, F_GETFL), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(receive_text(server), "early");
    EXPECT_EQ(send(server, "answer", 6, 0), 6);
    EXPECT_EQ(receive_text(client), "answer");

    for (auto [fd, call] : {std::pair{int{server}, &getsockname}, {int{client}, &getpeername}}) {
        length = sizeof(name);
        memset(&name, 0x55, sizeof(name));
        ASSERT_OK(call(fd, reinterpret_cast<sockaddr*>(&name), &length));
        EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + sizeof("socket"));
        EXPECT_STREQ(name.sun_path, "socket");
    }
    EXPECT_ERRNO(connect_to(client, address), EISCONN);
    EXPECT_ERRNO(listen(client, 1), EINVAL);
}

TEST_F(UnixStreamTest, AbstractNames) {
    UnixAddress address(abstract_name("stream"));
    Descriptor listener = make_listener(address), client = make();
    ASSERT_OK(connect_to(client, address));
    Descriptor server(accept(listener, nullptr, nullptr));
    sockaddr_un name;
    socklen_t length = sizeof(name);
    ASSERT_OK(getpeername(client, reinterpret_cast<sockaddr*>(&name), &length));
    EXPECT_EQ(length, address.length);
    EXPECT_EQ(memcmp(&name, &address.address, length), 0);
    Descriptor other = make();
    EXPECT_ERRNO(bind_to(other, address), EADDRINUSE);
    listener.reset();
    EXPECT_OK(bind_to(other, address));  // it is free at once, though `server` has it too
}

TEST_F(UnixStreamTest, AutobindChoosesFiveDigits) {
    Descriptor fd = make();
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    ASSERT_OK(bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)));
    socklen_t length = sizeof(name);
    ASSERT_OK(getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length));
    EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + 6);
    EXPECT_EQ(name.sun_path[0], '\0');
    for (int i = 1; i < 6; i++) EXPECT_TRUE(isxdigit(name.sun_path[i])) << i;
    EXPECT_OK(bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)));
}

TEST_F(UnixStreamTest, BacklogIsCounted) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address, 1);
    Descriptor clients[3];
    for (Descriptor& client : clients) client = make();
    EXPECT_OK(connect_to(clients[0], address));
    EXPECT_OK(connect_to(clients[1], address));
    EXPECT_ERRNO(connect_to(clients[2], address), EAGAIN);
    Descriptor server(accept(listener, nullptr, nullptr));
    ASSERT_GE(server, 0);
    EXPECT_OK(connect_to(clients[2], address));
    EXPECT_OK(listen(listener, 5));
    Descriptor another = make();
    EXPECT_OK(connect_to(another, address));
}

TEST_F(UnixStreamTest, BacklogWaitTimesOut) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address, 0);
    Descriptor first = make(), second = make(0);
    EXPECT_OK(connect_to(first, address));
    EXPECT_OK(set_option(second, SO_SNDTIMEO, timeval{0, 40000}));
    EXPECT_ERRNO(connect_to(second, address), EAGAIN);
    EXPECT_OK(fcntl(listener, F_SETFL, 0));
    Descriptor server(accept(listener, nullptr, nullptr));
    EXPECT_OK(set_option(listener, SO_RCVTIMEO, timeval{0, 40000}));
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EAGAIN);
}

TEST_F(UnixStreamTest, ClosedListenersRefuseAndReset) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address);
    Descriptor waiting = make(), late = make();
    EXPECT_OK(connect_to(waiting, address));
    listener.reset();
    EXPECT_ERRNO(recv(waiting, buffer_, 1, 0), ECONNRESET);
    EXPECT_EQ(recv(waiting, buffer_, 1, 0), 0);
    EXPECT_ERRNO(connect_to(late, address), ECONNREFUSED);
    Descriptor again = make();
    EXPECT_ERRNO(bind_to(again, address), EADDRINUSE);  // the file is still there
    EXPECT_OK(unlink("socket"));
    EXPECT_ERRNO(connect_to(late, address), ENOENT);
    EXPECT_OK(bind_to(again, address));
    EXPECT_ERRNO(connect_to(late, address), ECONNREFUSED);  // nobody listens
}

TEST_F(UnixStreamTest, ShutListenersAccept) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address), client = make();
    EXPECT_OK(shutdown(listener, SHUT_RDWR));
    EXPECT_ERRNO(connect_to(client, address), ECONNREFUSED);
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EAGAIN);
    EXPECT_OK(fcntl(listener, F_SETFL, 0));
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EINVAL);
}

TEST_F(UnixStreamTest, RenamedSocketsKeepWorking) {
    UnixAddress address("socket"), moved("moved"), linked("linked");
    Descriptor listener = make_listener(address), client = make();
    ASSERT_OK(rename("socket", "moved"));
    ASSERT_OK(symlink("moved", "linked"));
    EXPECT_OK(connect_to(client, linked));
    EXPECT_ERRNO(connect_to(make(), address), ENOENT);
}

TEST_F(UnixStreamTest, BindErrors) {
    Descriptor fd = make();
    EXPECT_ERRNO(bind_to(fd, UnixAddress("missing/socket")), ENOENT);
    write_file("file", "");
    EXPECT_ERRNO(bind_to(fd, UnixAddress("file")), EADDRINUSE);
    EXPECT_ERRNO(bind_to(fd, UnixAddress("file/socket")), ENOTDIR);
    UnixAddress inet("x");
    inet.address.sun_family = AF_INET;
    EXPECT_ERRNO(bind_to(fd, inet), EINVAL);
    EXPECT_ERRNO(bind(fd, inet.get(), 1), EINVAL);
    EXPECT_ERRNO(bind(fd, inet.get(), sizeof(sockaddr_un) + 1), EINVAL);
    EXPECT_ERRNO(bind(fd, inet.get(), 129), EINVAL);
    EXPECT_ERRNO(bind(fd, reinterpret_cast<sockaddr*>(bad_pointer()), 10), EFAULT);
    EXPECT_ERRNO(bind(fd, reinterpret_cast<sockaddr*>(kernel_pointer()), 10), EFAULT);
    EXPECT_OK(bind_to(fd, UnixAddress("socket")));
    EXPECT_ERRNO(bind_to(fd, UnixAddress("other")), EINVAL);
    EXPECT_ERRNO(access("other", F_OK), ENOENT);
    EXPECT_ERRNO(bind_to(fd, UnixAddress("socket")), EADDRINUSE);
    EXPECT_ERRNO(bind_to(fd, UnixAddress(abstract_name("x"))), EINVAL);
}

TEST_F(UnixStreamTest, PathsFillTheAddress) {
    const std::string path(sizeof(sockaddr_un::sun_path), 'p');
    Descriptor fd = make();
    UnixAddress address("x");
    memcpy(address.address.sun_path, path.data(), path.size());
    ASSERT_OK(bind(fd, address.get(), sizeof(sockaddr_un)));
    struct stat st;
    EXPECT_OK(stat(path.c_str(), &st));
    char name[200] = {};
    socklen_t length = sizeof(name);
    ASSERT_OK(getsockname(fd, reinterpret_cast<sockaddr*>(name), &length));
    EXPECT_EQ(length, sizeof(sockaddr_un) + 1);
}

TEST_F(UnixStreamTest, ConnectErrors) {
    Descriptor fd = make();
    EXPECT_ERRNO(connect_to(fd, UnixAddress("missing")), ENOENT);
    write_file("file", "");
    EXPECT_ERRNO(connect_to(fd, UnixAddress("file")), ECONNREFUSED);
    EXPECT_ERRNO(connect_to(fd, UnixAddress(abstract_name("nobody"))), ECONNREFUSED);
    Descriptor datagram(socket(AF_UNIX, SOCK_DGRAM, 0));
    ASSERT_OK(bind_to(datagram, UnixAddress("datagram")));
    EXPECT_ERRNO(connect_to(fd, UnixAddress("datagram")), EPROTOTYPE);
    UnixAddress unspecified("x");
    unspecified.address.sun_family = AF_UNSPEC;
    EXPECT_ERRNO(connect_to(fd, unspecified), EINVAL);
    EXPECT_ERRNO(connect(fd, unspecified.get(), 0), EINVAL);
    EXPECT_ERRNO(connect(fd, reinterpret_cast<sockaddr*>(bad_pointer()), 10), EFAULT);
    Descriptor listener = make_listener(UnixAddress("listener"));
    EXPECT_ERRNO(connect_to(listener, UnixAddress("listener")), EINVAL);
}

TEST_F(UnixStreamTest, PathPermissions) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to become another user";
    Descriptor listener = make_listener(UnixAddress("socket"));
    ASSERT_OK(chmod("socket", 0600));
    ASSERT_OK(chmod(".", 0755));
    ASSERT_OK(seteuid(12345));
    EXPECT_ERRNO(connect_to(make(), UnixAddress("socket")), EACCES);
    EXPECT_ERRNO(bind_to(make(), UnixAddress("new")), EACCES);
    ASSERT_OK(seteuid(0));
    ASSERT_OK(chmod("socket", 0666));
    ASSERT_OK(seteuid(12345));
    Descriptor client = make();
    EXPECT_OK(connect_to(client, UnixAddress("socket")));
    ASSERT_OK(seteuid(0));
}

TEST_F(UnixStreamTest, UnconnectedCalls) {
    Descriptor fd = make();
    EXPECT_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    EXPECT_ERRNO(recv(fd, buffer_, 1, 0), EINVAL);
    EXPECT_ERRNO(listen(fd, 1), EINVAL);
    EXPECT_ERRNO(accept(fd, nullptr, nullptr), EINVAL);
    EXPECT_OK(shutdown(fd, SHUT_RDWR));
    sockaddr_un name;
    socklen_t length = sizeof(name);
    EXPECT_ERRNO(getpeername(fd, reinterpret_cast<sockaddr*>(&name), &length), ENOTCONN);
    UnixAddress address("nobody");
    EXPECT_ERRNO(sendto(fd, "x", 1, 0, address.get(), address.length), EOPNOTSUPP);
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    EXPECT_ERRNO(sendto(a, "x", 1, 0, address.get(), address.length), EISCONN);
}

TEST_F(UnixStreamTest, BadMemory) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    EXPECT_ERRNO(send(a, bad_pointer(), 10, 0), EFAULT);
    EXPECT_ERRNO(send(a, kernel_pointer(), 10, 0), EFAULT);
    send(a, "kept", 4, 0);
    EXPECT_ERRNO(recv(b, bad_pointer(), 10, 0), EFAULT);
    EXPECT_ERRNO(recv(b, kernel_pointer(), 10, 0), EFAULT);
    EXPECT_EQ(receive_text(b), "kept");
    sockaddr_un name;
    EXPECT_ERRNO(getsockname(a, reinterpret_cast<sockaddr*>(&name), nullptr), EFAULT);
    socklen_t length = sizeof(name);
    EXPECT_ERRNO(getsockname(a, reinterpret_cast<sockaddr*>(bad_pointer()), &length), EFAULT);
    length = static_cast<socklen_t>(-1);
    EXPECT_ERRNO(getsockname(a, reinterpret_cast<sockaddr*>(&name), &length), EINVAL);
    length = 1;
    name.sun_family = 0x5555;
    EXPECT_OK(getsockname(a, reinterpret_cast<sockaddr*>(&name), &length));
    EXPECT_EQ(length, sizeof(sa_family_t));  // the whole length, though one byte was written
    EXPECT_EQ(name.sun_family, 0x5500 | AF_UNIX);
}

TEST_F(UnixStreamTest, SequencedPacketsKeepTheirBorders) {
    auto [a, b] = make_socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK);
    EXPECT_EQ(write(a, "first", 5), 5);
    EXPECT_EQ(send(a, "second", 6, 0), 6);
    EXPECT_EQ(send(a, "", 0, 0), 0);
    EXPECT_EQ(receive_text(b), "first");
    EXPECT_EQ(recv(b, buffer_, 3, MSG_TRUNC), 6);
    EXPECT_EQ(recv(b, buffer_, 3, 0), 0);
    EXPECT_ERRNO(recv(b, buffer_, 3, 0), EAGAIN);
    UnixAddress ignored("ignored");
    EXPECT_EQ(sendto(a, "x", 1, 0, ignored.get(), ignored.length), 1);
    EXPECT_EQ(receive_text(b), "x");
    b.reset();
    EXPECT_EQ(recv(a, buffer_, 3, 0), 0);
    EXPECT_ERRNO(send(a, "x", 1, 0), EPIPE);
    EXPECT_EQ(poll_now(a), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST_F(UnixStreamTest, SequencedPacketsConnect) {
    UnixAddress address("socket");
    Descriptor listener(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    Descriptor client(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0));
    EXPECT_ERRNO(send(client, "x", 1, 0), ENOTCONN);
    EXPECT_ERRNO(recv(client, buffer_, 1, 0), ENOTCONN);
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 1));
    EXPECT_ERRNO(connect_to(make(), address), EPROTOTYPE);
    ASSERT_OK(connect_to(client, address));
    Descriptor server(accept(listener, nullptr, nullptr));
    EXPECT_EQ(send(server, "hello", 5, 0), 5);
    EXPECT_EQ(receive_text(client), "hello");
    server.reset();
    EXPECT_EQ(recv(client, buffer_, 1, 0), 0);
}

}  // namespace
