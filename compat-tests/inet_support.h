// What tests of sockets over the loopback interface share.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <string>

#include "descriptor.h"

inline sockaddr_in loopback(uint16_t port = 0) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}
// Of AF_INET or AF_INET6.
inline sockaddr_storage loopback_of(int family, uint16_t port = 0) {
    sockaddr_storage address{};
    if (family == AF_INET) {
        reinterpret_cast<sockaddr_in&>(address) = loopback(port);
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(address);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        v6.sin6_addr = in6addr_loopback;
    }
    return address;
}
inline sockaddr* as_any(sockaddr_in& address) {
    return reinterpret_cast<sockaddr*>(&address);
}

// At a port of its own, which `address` tells.
inline Descriptor make_listener(sockaddr_in& address, int backlog = 8) {
    Descriptor listener(socket(AF_INET, SOCK_STREAM, 0));
    address = loopback();
    EXPECT_EQ(bind(listener, as_any(address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener, backlog), 0);
    socklen_t length = sizeof(address);
    EXPECT_EQ(getsockname(listener, as_any(address), &length), 0);
    EXPECT_NE(address.sin_port, 0);
    return listener;
}

struct TcpPair {
    TcpPair() : listener(make_listener(address)), client(socket(AF_INET, SOCK_STREAM, 0)) {
        EXPECT_EQ(connect(client, as_any(address), sizeof(address)), 0);
        server.reset(accept(listener, nullptr, nullptr));
        EXPECT_GE(server, 0);
    }
    sockaddr_in address;
    Descriptor listener, client, server;
};

// Those of the events that come true in time; 0: none.
inline short events_of(int fd, short wanted, int timeout_ms = 60'000) {
    pollfd entry{fd, wanted, 0};
    poll(&entry, 1, timeout_ms);
    return entry.revents;
}

// SO_ERROR, which this takes away.
inline int error_of(int fd) {
    int error = -1;
    socklen_t length = sizeof(error);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

// Receives a byte; whether a control message came with it.
inline bool receives_control(int fd, int flags = 0) {
    char byte, control[256];
    iovec part = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    EXPECT_EQ(recvmsg(fd, &message, flags), 1);
    return message.msg_controllen != 0;
}

// Receives a message of at most text.size() bytes into `text`, and gives what the control message
// with it says, which must be of this type.
template <typename T>
T receive_with_control(int fd, std::string& text, int level, int type) {
    alignas(cmsghdr) char control[256];
    iovec part = {text.data(), text.size()};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    const ssize_t size = recvmsg(fd, &message, 0);
    EXPECT_GE(size, 0) << strerror(errno);
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    T value = {};
    const cmsghdr* head = CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_len < CMSG_LEN(sizeof(value))) {
        ADD_FAILURE() << "no control message";
        return value;
    }
    EXPECT_EQ(head->cmsg_level, level);
    EXPECT_EQ(head->cmsg_type, type);
    memcpy(&value, CMSG_DATA(head), sizeof(value));
    return value;
}
