// TCP over loopback: the ways to end a connection, or one direction of it.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "inet_support.h"

namespace {

TEST(TcpClose, EndOfFileComesBehindTheData) {
    TcpPair pair;
    ASSERT_EQ(send(pair.client, "last", 4, 0), 4);
    pair.client.reset();
    EXPECT_EQ(events_of(pair.server, POLLIN | POLLRDHUP), POLLIN | POLLRDHUP);
    char text[16];
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), 4);
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), 0);
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), 0);
}

TEST(TcpClose, WritingToAClosedPeer) {
    TcpPair pair;
    pair.server.reset();
    EXPECT_EQ(events_of(pair.client, POLLIN), POLLIN);
    EXPECT_EQ(send(pair.client, "x", 1, MSG_NOSIGNAL), 1);
    EXPECT_EQ(events_of(pair.client, POLLIN | POLLOUT | POLLHUP) & (POLLERR | POLLHUP),
              POLLERR | POLLHUP);
    EXPECT_EQ(send(pair.client, "x", 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(error_of(pair.client), 0);
}

volatile sig_atomic_t broken_pipes = 0;
TEST(TcpClose, SigpipeComesWithEpipe) {
    TcpPair pair;
    shutdown(pair.client, SHUT_WR);
    signal(SIGPIPE, [](int) { broken_pipes = broken_pipes + 1; });
    EXPECT_EQ(send(pair.client, "x", 1, MSG_NOSIGNAL), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(broken_pipes, 0);
    EXPECT_EQ(write(pair.client, "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    EXPECT_EQ(broken_pipes, 1);
    signal(SIGPIPE, SIG_DFL);
}

TEST(TcpClose, UnreadDataResets) {
    TcpPair pair;
    ASSERT_EQ(send(pair.client, "unread", 6, 0), 6);
    EXPECT_EQ(events_of(pair.server, POLLIN), POLLIN);
    pair.server.reset();
    EXPECT_EQ(events_of(pair.client, POLLIN), POLLIN | POLLERR | POLLHUP);
    char byte;
    EXPECT_EQ(recv(pair.client, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(recv(pair.client, &byte, 1, 0), 0);
}

TEST(TcpClose, LingerOfZeroResets) {
    TcpPair pair;
    linger value{1, 0};
    ASSERT_EQ(setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &value, sizeof(value)), 0);
    pair.client.reset();
    EXPECT_EQ(events_of(pair.server, POLLIN) & POLLERR, POLLERR);
    EXPECT_EQ(error_of(pair.server), ECONNRESET);
}

TEST(TcpClose, DataBeforeAResetCanBeRead) {
    TcpPair pair;
    ASSERT_EQ(send(pair.client, "before", 6, 0), 6);
    linger value{1, 0};
    setsockopt(pair.client, SOL_SOCKET, SO_LINGER, &value, sizeof(value));
    pair.client.reset();
    EXPECT_NE(events_of(pair.server, POLLIN) & POLLERR, 0);
    char text[16];
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), 6);
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
}

TEST(TcpShutdown, HalfClosed) {
    TcpPair pair;
    ASSERT_EQ(shutdown(pair.client, SHUT_WR), 0);
    char text[8];
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), 0);
    EXPECT_EQ(send(pair.server, "answer", 6, 0), 6);
    EXPECT_EQ(recv(pair.client, text, sizeof(text), 0), 6);
    EXPECT_EQ(events_of(pair.server, POLLOUT | POLLHUP | POLLRDHUP, 0), POLLOUT | POLLRDHUP);
    ASSERT_EQ(shutdown(pair.server, SHUT_WR), 0);
    EXPECT_EQ(recv(pair.client, text, sizeof(text), 0), 0);
    EXPECT_NE(events_of(pair.client, POLLIN) & POLLHUP, 0);
}

TEST(TcpShutdown, ReadSide) {
    TcpPair pair;
    ASSERT_EQ(shutdown(pair.client, SHUT_RD), 0);
    char text[8];
    EXPECT_EQ(recv(pair.client, text, sizeof(text), 0), 0);
    EXPECT_EQ(events_of(pair.client, POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
    // What comes is still read, and the other direction lives on.
    EXPECT_EQ(send(pair.server, "late", 4, 0), 4);
    usleep(10000);
    EXPECT_EQ(recv(pair.client, text, sizeof(text), 0), 4);
    EXPECT_EQ(send(pair.client, "up", 2, 0), 2);
    EXPECT_EQ(recv(pair.server, text, sizeof(text), 0), 2);
}

TEST(TcpShutdown, InvalidHow) {
    TcpPair pair;
    EXPECT_EQ(shutdown(pair.client, 3), -1);
    EXPECT_EQ(errno, EINVAL);
}

}  // namespace
