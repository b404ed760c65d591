// AF_UNIX stream sockets: bytes, half close, readiness, sequenced packets.
#include "sockets_support.h"

namespace {

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
