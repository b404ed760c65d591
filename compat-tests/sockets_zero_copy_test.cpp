// MSG_ZEROCOPY and SO_ZEROCOPY (Documentation/networking/msg_zerocopy.rst): over loopback the data
// is copied after all, and the notice says so.
#include <gtest/gtest.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "expect_errno.h"
#include "inet_support.h"

namespace {

constexpr int kPatienceMs = 60'000;

struct Notice {
    uint32_t first, last;
    uint8_t code;
};

class ZeroCopyTest : public testing::TestWithParam<int> {
  protected:
    void SetUp() override {
        int listener = socket(GetParam(), SOCK_STREAM, 0);
        sockaddr_storage address = loopback_of(GetParam());
        socklen_t length = sizeof(address);
        ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length_of()), 0);
        ASSERT_EQ(listen(listener, 1), 0);
        ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
        client = socket(GetParam(), SOCK_STREAM, 0);
        ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
        server = accept(listener, nullptr, nullptr);
        ASSERT_GE(server, 0);
        close(listener);
    }
    void TearDown() override {
        for (int fd : {client, server}) {
            if (fd >= 0) close(fd);
        }
    }

    socklen_t length_of() const {
        return GetParam() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    }
    static void allow(int fd) {
        int one = 1;
        ASSERT_EQ(setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)), 0);
    }
    void drain(size_t size) {
        std::vector<char> bytes(size);
        ASSERT_EQ(recv(server, bytes.data(), size, MSG_WAITALL), static_cast<ssize_t>(size));
    }

    // Waits for a notice, and takes it.
    static Notice take_notice(int fd) {
        pollfd item{fd, 0, 0};
        EXPECT_EQ(poll(&item, 1, kPatienceMs), 1);
        EXPECT_TRUE(item.revents & POLLERR);
        char control[256], byte;
        sockaddr_storage from{};
        iovec data{&byte, 1};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof(from);
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        EXPECT_EQ(recvmsg(fd, &message, MSG_ERRQUEUE), 0);
        EXPECT_TRUE(message.msg_flags & MSG_ERRQUEUE);
        EXPECT_EQ(message.msg_namelen, 0u);
        cmsghdr* head = CMSG_FIRSTHDR(&message);
        if (!head) {
            ADD_FAILURE() << "no control message";
            return {};
        }
        bool v4 = GetParam() == AF_INET;
        EXPECT_EQ(head->cmsg_level, v4 ? SOL_IP : SOL_IPV6);
        EXPECT_EQ(head->cmsg_type, v4 ? IP_RECVERR : IPV6_RECVERR);
        EXPECT_EQ(head->cmsg_len, CMSG_LEN(sizeof(sock_extended_err) +
                                           (v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6))));
        sock_extended_err error;
        memcpy(&error, CMSG_DATA(head), sizeof(error));
        EXPECT_EQ(error.ee_errno, 0u);
        EXPECT_EQ(error.ee_origin, SO_EE_ORIGIN_ZEROCOPY);
        EXPECT_EQ(error.ee_type, 0);
        EXPECT_EQ(error.ee_pad, 0u);
        return {error.ee_info, error.ee_data, error.ee_code};
    }
    // Takes notices until the one of `last`, which follow each other from `first`.
    static void expect_copied(int fd, uint32_t first, uint32_t last) {
        while (first <= last) {
            Notice notice = take_notice(fd);
            ASSERT_EQ(notice.first, first);
            ASSERT_GE(notice.last, first);
            ASSERT_LE(notice.last, last);
            EXPECT_EQ(notice.code, SO_EE_CODE_ZEROCOPY_COPIED);
            first = notice.last + 1;
        }
        EXPECT_ERRNO(EAGAIN, recv(fd, &first, 1, MSG_ERRQUEUE));
    }

    int client = -1, server = -1;
};

TEST_P(ZeroCopyTest, StreamSendsAreNumberedFromZero) {
    allow(client);
    for (int i = 0; i < 3; i++) {
        ASSERT_EQ(send(client, "0123456789", 10, MSG_ZEROCOPY), 10);
    }
    drain(30);
    expect_copied(client, 0, 2);
    ASSERT_EQ(send(client, "abc", 3, MSG_ZEROCOPY), 3);
    drain(3);
    expect_copied(client, 3, 3);
    int error = -1;
    socklen_t length = sizeof(error);
    EXPECT_EQ(getsockopt(client, SOL_SOCKET, SO_ERROR, &error, &length), 0);
    EXPECT_EQ(error, 0) << "a notice is no error";
}

TEST_P(ZeroCopyTest, StreamDataArrives) {
    allow(client);
    constexpr size_t kSize = 4 << 20;
    auto* data = static_cast<unsigned char*>(
        mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    for (size_t i = 0; i < kSize; i++) data[i] = static_cast<unsigned char>(i * 7 + i / 4096);
    std::thread sender([&] {
        // From an odd address, in one call.
        ASSERT_EQ(send(client, data + 1, kSize - 1, MSG_ZEROCOPY), static_cast<ssize_t>(kSize - 1));
    });
    std::vector<unsigned char> got(kSize - 1);
    EXPECT_EQ(recv(server, got.data(), got.size(), MSG_WAITALL), static_cast<ssize_t>(kSize - 1));
    sender.join();
    EXPECT_TRUE(std::equal(got.begin(), got.end(), data + 1));
    expect_copied(client, 0, 0);
    munmap(data, kSize);
}

TEST_P(ZeroCopyTest, WithoutTheOptionTheFlagIsIgnored) {
    ASSERT_EQ(send(client, "abc", 3, MSG_ZEROCOPY), 3);
    drain(3);
    char byte;
    EXPECT_ERRNO(EAGAIN, recv(client, &byte, 1, MSG_ERRQUEUE));
    int value = -1;
    socklen_t length = sizeof(value);
    EXPECT_EQ(getsockopt(client, SOL_SOCKET, SO_ZEROCOPY, &value, &length), 0);
    EXPECT_EQ(value, 0);
}

TEST_P(ZeroCopyTest, SendsWithoutTheFlagAreNotCounted) {
    allow(client);
    ASSERT_EQ(send(client, "abc", 3, 0), 3);
    ASSERT_EQ(send(client, "", 0, MSG_ZEROCOPY), 0);
    ASSERT_EQ(send(client, "def", 3, MSG_ZEROCOPY), 3);
    drain(6);
    expect_copied(client, 0, 0);
}

TEST_P(ZeroCopyTest, FailedSendsAreNotCounted) {
    allow(client);
    EXPECT_ERRNO(EFAULT, send(client, nullptr, 10, MSG_ZEROCOPY));
    ASSERT_EQ(send(client, "abc", 3, MSG_ZEROCOPY), 3);
    drain(3);
    expect_copied(client, 0, 0);
}

TEST_P(ZeroCopyTest, NoticesWakeEpoll) {
    allow(client);
    int epoll = epoll_create1(0);
    epoll_event event{};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event), 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    std::thread sender([&] { ASSERT_EQ(send(client, "abc", 3, MSG_ZEROCOPY), 3); });
    drain(3);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, kPatienceMs), 1);
    EXPECT_EQ(event.events, static_cast<uint32_t>(EPOLLERR));
    sender.join();
    expect_copied(client, 0, 0);
    EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    close(epoll);
}

TEST_P(ZeroCopyTest, OptionTakesZeroAndOne) {
    for (int bad : {-1, 2}) {
        EXPECT_ERRNO(EINVAL, setsockopt(client, SOL_SOCKET, SO_ZEROCOPY, &bad, sizeof(bad)));
    }
    int value = 1;
    ASSERT_EQ(setsockopt(client, SOL_SOCKET, SO_ZEROCOPY, &value, sizeof(value)), 0);
    socklen_t length = sizeof(value);
    value = -1;
    EXPECT_EQ(getsockopt(client, SOL_SOCKET, SO_ZEROCOPY, &value, &length), 0);
    EXPECT_EQ(value, 1);
}

TEST_P(ZeroCopyTest, DatagramsToo) {
    int receiver = socket(GetParam(), SOCK_DGRAM, 0), sender = socket(GetParam(), SOCK_DGRAM, 0);
    sockaddr_storage address = loopback_of(GetParam());
    socklen_t length = sizeof(address);
    ASSERT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), length_of()), 0);
    ASSERT_EQ(getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &length), 0);
    ASSERT_EQ(connect(sender, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(send(sender, "plain", 5, MSG_ZEROCOPY), 5);
    allow(sender);
    ASSERT_EQ(send(sender, "first", 5, MSG_ZEROCOPY), 5);
    std::vector<char> large(9000, 'x');
    ASSERT_EQ(send(sender, large.data(), large.size(), MSG_ZEROCOPY), 9000);
    std::vector<char> got(10'000);
    for (ssize_t size : {5, 5, 9000}) EXPECT_EQ(recv(receiver, got.data(), got.size(), 0), size);
    EXPECT_TRUE(std::equal(large.begin(), large.end(), got.begin()));
    expect_copied(sender, 0, 1);
    close(receiver);
    close(sender);
}

INSTANTIATE_TEST_SUITE_P(Families, ZeroCopyTest, testing::Values(AF_INET, AF_INET6),
                         [](const auto& info) { return info.param == AF_INET ? "v4" : "v6"; });

TEST(ZeroCopy, OtherSocketsHaveNone) {
    int one = 1;
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_ERRNO(EOPNOTSUPP, setsockopt(local, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
    close(local);
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    if (raw < 0) return;
    EXPECT_ERRNO(EOPNOTSUPP, setsockopt(raw, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
    close(raw);
}

}  // namespace
