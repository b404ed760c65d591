// AF_UNIX datagram sockets: names, borders, queues, connections.
#include "sockets_support.h"

namespace {

class UnixDatagramTest : public SocketsTest {
  protected:
    Descriptor make(int flags = SOCK_NONBLOCK) {
        return Descriptor(socket(AF_UNIX, SOCK_DGRAM | flags, 0));
    }
    Descriptor make_bound(const UnixAddress& address) {
        Descriptor fd = make();
        EXPECT_OK(bind_to(fd, address));
        return fd;
    }
    static ssize_t send_text(int fd, const UnixAddress& to, std::string_view text) {
        return sendto(fd, text.data(), text.size(), 0, to.get(), to.length);
    }
    char buffer_[4096];
};

TEST_F(UnixDatagramTest, MessagesHaveBordersAndSenders) {
    UnixAddress here("here"), there("there");
    Descriptor a = make_bound(here), b = make_bound(there), unnamed = make();
    EXPECT_EQ(send_text(a, there, "first"), 5);
    EXPECT_EQ(send_text(unnamed, there, "second"), 6);
    EXPECT_EQ(send_text(a, there, ""), 0);
    int pending = 0;
    EXPECT_OK(ioctl(b, FIONREAD, &pending));
    EXPECT_EQ(pending, 5);  // of the first alone
    sockaddr_un name;
    socklen_t length = sizeof(name);
    EXPECT_EQ(recvfrom(b, buffer_, 100, 0, reinterpret_cast<sockaddr*>(&name), &length), 5);
    EXPECT_EQ(length, here.length);
    EXPECT_STREQ(name.sun_path, "here");
    length = sizeof(name);
    EXPECT_EQ(recvfrom(b, buffer_, 2, MSG_TRUNC, reinterpret_cast<sockaddr*>(&name), &length), 6);
    EXPECT_EQ(length, 0u);
    EXPECT_EQ(recv(b, buffer_, 100, 0), 0);
    EXPECT_ERRNO(recv(b, buffer_, 100, 0), EAGAIN);
}

TEST_F(UnixDatagramTest, TruncationIsTold) {
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    send(a, "longer", 6, 0);
    iovec part = {buffer_, 3};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    EXPECT_EQ(recvmsg(b, &message, 0), 3);
    EXPECT_EQ(message.msg_flags, MSG_TRUNC);
    send(a, "fits", 4, 0);
    part.iov_len = 4;
    EXPECT_EQ(recvmsg(b, &message, 0), 4);
    EXPECT_EQ(message.msg_flags, 0);
}

TEST_F(UnixDatagramTest, PeekSeesTheFirst) {
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    send(a, "one", 3, 0);
    send(a, "two", 3, 0);
    EXPECT_EQ(receive_text(b, MSG_PEEK), "one");
    EXPECT_EQ(receive_text(b, MSG_PEEK), "one");
    EXPECT_EQ(receive_text(b), "one");
    EXPECT_EQ(receive_text(b), "two");
    EXPECT_OK(set_option(b, SO_PEEK_OFF, 0));
    send(a, "abcd", 4, 0);
    send(a, "ef", 2, 0);
    EXPECT_EQ(receive_text(b, MSG_PEEK, 2), "ab");
    EXPECT_EQ(receive_text(b, MSG_PEEK, 2), "cd");
    EXPECT_EQ(receive_text(b, MSG_PEEK), "ef");
    EXPECT_ERRNO(recv(b, buffer_, 9, MSG_PEEK), EAGAIN);
    EXPECT_EQ(receive_text(b), "abcd");
    EXPECT_EQ(get_option(b, SO_PEEK_OFF), 2);
    EXPECT_ERRNO(recv(b, buffer_, 9, MSG_PEEK), EAGAIN);  // "ef" lies before that
}

TEST_F(UnixDatagramTest, LargeMessages) {
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    std::string text(150000, '\0');
    for (size_t i = 0; i < text.size(); i++) text[i] = static_cast<char>(i * 13 + i / 509);
    EXPECT_EQ(send(a, text.data(), text.size(), 0), 150000);
    EXPECT_EQ(receive_text(b, 0, 200000), text);
    text.resize(300000);
    EXPECT_ERRNO(send(a, text.data(), text.size(), 0), EMSGSIZE);
}

TEST_F(UnixDatagramTest, QueuesOfStrangersAreShort) {
    UnixAddress address("socket");
    Descriptor receiver = make_bound(address), sender = make();
    int count = 0;
    while (send_text(sender, address, "x") == 1) count++;
    EXPECT_EQ(errno, EAGAIN);
    // One more than net.unix.max_dgram_qlen.
    EXPECT_GE(count, 11);
    EXPECT_LE(count, 513);
    EXPECT_EQ(poll_now(sender), POLLOUT);
    ASSERT_OK(connect_to(sender, address));
    EXPECT_EQ(poll_now(sender), 0);
    EXPECT_EQ(recv(receiver, buffer_, 1, 0), 1);
    EXPECT_EQ(poll_now(sender), POLLOUT);
    EXPECT_EQ(send(sender, "x", 1, 0), 1);
    EXPECT_ERRNO(send(sender, "x", 1, 0), EAGAIN);
    EXPECT_OK(fcntl(sender, F_SETFL, 0));
    EXPECT_OK(set_option(sender, SO_SNDTIMEO, timeval{0, 40000}));
    EXPECT_ERRNO(send(sender, "x", 1, 0), EAGAIN);
}

TEST_F(UnixDatagramTest, ConnectedOnesHearTheirPeerAlone) {
    UnixAddress one("one"), two("two"), three("three");
    Descriptor a = make_bound(one), b = make_bound(two), c = make_bound(three);
    ASSERT_OK(connect_to(a, two));
    EXPECT_ERRNO(send_text(c, one, "x"), EPERM);
    EXPECT_ERRNO(connect_to(c, one), EPERM);
    EXPECT_EQ(send_text(b, one, "yes"), 3);
    EXPECT_EQ(receive_text(a), "yes");
    EXPECT_EQ(send(a, "to b", 4, 0), 4);
    EXPECT_EQ(send_text(a, three, "to c"), 4);
    EXPECT_EQ(receive_text(b), "to b");
    EXPECT_EQ(receive_text(c), "to c");
    sockaddr_un name;
    socklen_t length = sizeof(name);
    ASSERT_OK(getpeername(a, reinterpret_cast<sockaddr*>(&name), &length));
    EXPECT_STREQ(name.sun_path, "two");

    sockaddr unspecified = {};
    unspecified.sa_family = AF_UNSPEC;
    ASSERT_OK(connect(a, &unspecified, sizeof(unspecified)));
    EXPECT_ERRNO(send(a, "x", 1, 0), ENOTCONN);
    EXPECT_EQ(send_text(c, one, "now"), 3);
    EXPECT_EQ(receive_text(a), "now");
}

TEST_F(UnixDatagramTest, ReconnectingDropsWhatTheOldPeerSent) {
    UnixAddress one("one"), two("two"), three("three");
    Descriptor a = make_bound(one), b = make_bound(two), c = make_bound(three);
    ASSERT_OK(connect_to(a, two));
    ASSERT_OK(connect_to(b, one));
    send(b, "lost", 4, 0);
    ASSERT_OK(connect_to(a, three));
    EXPECT_ERRNO(recv(a, buffer_, 10, 0), EAGAIN);
    EXPECT_ERRNO(send(b, "x", 1, 0), ECONNRESET);
    EXPECT_ERRNO(send(b, "x", 1, 0), EPERM);
}

TEST_F(UnixDatagramTest, ClosedPeersRefuse) {
    UnixAddress address("socket");
    Descriptor receiver = make_bound(address), sender = make();
    ASSERT_OK(connect_to(sender, address));
    receiver.reset();
    EXPECT_ERRNO(send(sender, "x", 1, 0), ECONNREFUSED);
    EXPECT_ERRNO(send(sender, "x", 1, 0), ENOTCONN);
    EXPECT_ERRNO(send_text(sender, address, "x"), ECONNREFUSED);
    EXPECT_OK(unlink("socket"));
    EXPECT_ERRNO(send_text(sender, address, "x"), ENOENT);
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    b.reset();
    EXPECT_EQ(poll_now(a), POLLOUT);
    EXPECT_ERRNO(send(a, "x", 1, 0), ECONNREFUSED);
    EXPECT_ERRNO(recv(a, buffer_, 1, 0), EAGAIN);
}

TEST_F(UnixDatagramTest, ShutDown) {
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    send(a, "queued", 6, 0);
    EXPECT_OK(shutdown(b, SHUT_RD));
    EXPECT_ERRNO(send(a, "x", 1, 0), EPIPE);  // and no signal
    EXPECT_EQ(receive_text(b), "queued");
    EXPECT_ERRNO(recv(b, buffer_, 1, 0), EAGAIN);
    EXPECT_OK(fcntl(b, F_SETFL, 0));
    EXPECT_EQ(recv(b, buffer_, 1, 0), 0);
    EXPECT_EQ(poll_now(b), POLLIN | POLLOUT | POLLRDHUP);
    EXPECT_OK(shutdown(b, SHUT_WR));
    EXPECT_ERRNO(send(b, "x", 1, 0), EPIPE);
    EXPECT_EQ(poll_now(b), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST_F(UnixDatagramTest, ManyMessagesAtOnce) {
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    char texts[3][4] = {"one", "two", "six"};
    iovec parts[3];
    mmsghdr messages[3] = {};
    for (int i = 0; i < 3; i++) {
        parts[i] = {texts[i], 3};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    EXPECT_EQ(sendmmsg(a, messages, 3, 0), 3);
    EXPECT_EQ(messages[2].msg_len, 3u);
    memset(texts, 0, sizeof(texts));
    for (mmsghdr& message : messages) message.msg_len = 0;
    EXPECT_EQ(recvmmsg(b, messages, 2, 0, nullptr), 2);
    EXPECT_STREQ(texts[0], "one");
    EXPECT_STREQ(texts[1], "two");
    EXPECT_EQ(messages[1].msg_len, 3u);
    timespec timeout = {1, 0};
    EXPECT_EQ(recvmmsg(b, messages, 3, 0, &timeout), 1);
    EXPECT_STREQ(texts[0], "six");
    EXPECT_ERRNO(recvmmsg(b, messages, 3, 0, nullptr), EAGAIN);
    timeout = {0, -1};
    EXPECT_ERRNO(recvmmsg(b, messages, 3, 0, &timeout), EINVAL);
    send(a, "last", 4, 0);
    EXPECT_OK(fcntl(b, F_SETFL, 0));
    EXPECT_EQ(recvmmsg(b, messages, 3, MSG_WAITFORONE, nullptr), 1);
    EXPECT_EQ(sendmmsg(a, messages, 0, 0), 0);
    EXPECT_ERRNO(sendmmsg(a, reinterpret_cast<mmsghdr*>(bad_pointer()), 1, 0), EFAULT);
}

TEST_F(UnixDatagramTest, MessageHeaderErrors) {
    auto [a, b] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    iovec part = {buffer_, 3};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1025;
    EXPECT_ERRNO(sendmsg(a, &message, 0), EMSGSIZE);
    EXPECT_ERRNO(recvmsg(a, &message, 0), EMSGSIZE);
    message.msg_iovlen = 1;
    message.msg_namelen = static_cast<socklen_t>(-1);
    message.msg_name = buffer_;
    EXPECT_ERRNO(sendmsg(a, &message, 0), EINVAL);
    message.msg_name = nullptr;
    EXPECT_EQ(sendmsg(a, &message, 0), 3);
    message.msg_iov = reinterpret_cast<iovec*>(bad_pointer());
    EXPECT_ERRNO(sendmsg(a, &message, 0), EFAULT);
    EXPECT_ERRNO(sendmsg(a, reinterpret_cast<msghdr*>(bad_pointer()), 0), EFAULT);
    EXPECT_ERRNO(recvmsg(b, reinterpret_cast<msghdr*>(bad_pointer()), 0), EFAULT);
    message.msg_iov = &part;
    part.iov_len = static_cast<size_t>(-1);
    EXPECT_ERRNO(sendmsg(a, &message, 0), EINVAL);
    part = {kernel_pointer(), 1};
    EXPECT_ERRNO(sendmsg(a, &message, 0), EFAULT);
    part = {bad_pointer(), 1};
    EXPECT_ERRNO(recvmsg(b, &message, 0), EFAULT);
    EXPECT_ERRNO(recv(b, buffer_, 10, 0), EAGAIN);  // the message is gone
}

TEST_F(UnixDatagramTest, NoConnections) {
    Descriptor fd = make_bound(UnixAddress("socket"));
    EXPECT_ERRNO(listen(fd, 1), EOPNOTSUPP);
    EXPECT_ERRNO(accept(fd, nullptr, nullptr), EOPNOTSUPP);
    EXPECT_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    EXPECT_ERRNO(send(fd, "x", 1, MSG_OOB), EOPNOTSUPP);
    EXPECT_ERRNO(connect_to(fd, UnixAddress(abstract_name("missing"))), ECONNREFUSED);
    EXPECT_EQ(send_text(fd, UnixAddress("socket"), "self"), 4);
    EXPECT_EQ(receive_text(fd), "self");
}

TEST_F(UnixDatagramTest, SendersToItselfAreNotLimited) {
    UnixAddress address("socket");
    Descriptor fd = make_bound(address);
    for (int i = 0; i < 40; i++) EXPECT_EQ(send_text(fd, address, "x"), 1) << i;
}

}  // namespace
