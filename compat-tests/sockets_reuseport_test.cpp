// Sockets that share a port (SO_REUSEPORT) by a program's choice, and filters of sockets without
// packets of the internet (man 7 socket).
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "inet_support.h"
#include "sockets_support.h"

namespace {

constexpr int kDetachReuseport = 68;  // SO_DETACH_REUSEPORT_BPF
constexpr int kPatienceMs = 60'000;
using Program = std::vector<sock_filter>;

// The first byte that the program sees.
const Program kFirstByte = {{BPF_LD | BPF_ABS | BPF_B, 0, 0, 0}, {BPF_RET | BPF_A, 0, 0, 0}};
Program always(uint32_t value) {
    return {{BPF_RET | BPF_K, 0, 0, value}};
}

int attach(int fd, const Program& program, int option = SO_ATTACH_REUSEPORT_CBPF) {
    const sock_fprog code{static_cast<unsigned short>(program.size()),
                          const_cast<sock_filter*>(program.data())};
    return set_option(fd, option, code);
}

class ReuseportTest : public SocketsTest {
  protected:
    // The next of those that share our port.
    int add(int type) {
        Descriptor fd(socket(AF_INET, type, 0));
        EXPECT_OK(set_option(fd, SO_REUSEPORT, 1));
        socklen_t length = sizeof(address_);
        EXPECT_OK(bind(fd, as_any(address_), length));
        EXPECT_OK(getsockname(fd, as_any(address_), &length));
        if (type == SOCK_STREAM) {
            EXPECT_OK(listen(fd, 8));
        }
        sharers_.push_back(std::move(fd));
        return sharers_.back();
    }
    // Which of them becomes readable.
    int taker() {
        std::vector<pollfd> entries;
        for (int fd : sharers_) entries.push_back({fd, POLLIN, 0});
        EXPECT_EQ(poll(entries.data(), entries.size(), kPatienceMs), 1);
        for (size_t i = 0; i < entries.size(); i++) {
            if (entries[i].revents) return static_cast<int>(i);
        }
        return -1;
    }
    int taker_of(char first) {
        Descriptor sender(socket(AF_INET, SOCK_DGRAM, 0));
        EXPECT_EQ(sendto(sender, &first, 1, 0, as_any(address_), sizeof(address_)), 1);
        const int who = taker();
        EXPECT_EQ(receive_text(sharers_[static_cast<size_t>(who)]), std::string(1, first));
        return who;
    }
    int accepter() {
        Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
        EXPECT_OK(connect(client, as_any(address_), sizeof(address_)));
        const int who = taker();
        Descriptor accepted(accept(sharers_[static_cast<size_t>(who)], nullptr, nullptr));
        EXPECT_GE(accepted, 0);
        return who;
    }

    std::vector<Descriptor> sharers_;
    sockaddr_in address_ = loopback();
};

TEST_F(ReuseportTest, Errors) {
    Descriptor plain(socket(AF_INET, SOCK_DGRAM, 0));
    EXPECT_ERRNO(attach(plain, kFirstByte), EINVAL);
    EXPECT_ERRNO(set_option(plain, kDetachReuseport, 0), EINVAL);
    EXPECT_ERRNO(set_option(plain, SO_ATTACH_REUSEPORT_CBPF, 0), EINVAL);
    EXPECT_ERRNO(set_option(plain, SO_ATTACH_REUSEPORT_EBPF, 9999), EBADF);
    EXPECT_ERRNO(set_option(plain, SO_ATTACH_BPF, 9999), EBADF);
    EXPECT_ERRNO(set_option(plain, SO_ATTACH_BPF, 0), EINVAL);
    EXPECT_ERRNO(set_option(plain, SO_ATTACH_BPF, long{0}), EINVAL);
    const int fd = add(SOCK_DGRAM);
    EXPECT_ERRNO(set_option(fd, kDetachReuseport, 0), ENOENT);
    EXPECT_ERRNO(attach(fd, {}), EINVAL);
    EXPECT_OK(attach(fd, kFirstByte));
    EXPECT_OK(set_option(fd, kDetachReuseport, 0));
    EXPECT_ERRNO(set_option(fd, kDetachReuseport, 0), ENOENT);
    EXPECT_OK(set_option(fd, SO_LOCK_FILTER, 1));
    EXPECT_ERRNO(attach(fd, kFirstByte), EPERM);
    int value;
    socklen_t length = sizeof(value);
    EXPECT_ERRNO(getsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &value, &length),
                 ENOPROTOOPT);
}

TEST_F(ReuseportTest, AProgramChoosesTheReceiver) {
    for (int i = 0; i < 3; i++) add(SOCK_DGRAM);
    ASSERT_OK(attach(sharers_[1], kFirstByte));
    for (char who : {2, 0, 1, 1, 0}) EXPECT_EQ(taker_of(who), who);
    const int any = taker_of(77);  // no such socket: a hash says
    EXPECT_GE(any, 0);
    add(SOCK_DGRAM);
    EXPECT_EQ(taker_of(3), 3) << "a new one shares the program";
}

TEST_F(ReuseportTest, TheLastTakesThePlaceOfOneThatLeaves) {
    for (int i = 0; i < 4; i++) add(SOCK_DGRAM);
    ASSERT_OK(attach(sharers_[0], kFirstByte));
    sharers_[1].reset(socket(AF_INET, SOCK_DGRAM, 0));
    EXPECT_EQ(taker_of(1), 3);
    EXPECT_EQ(taker_of(0), 0);
    EXPECT_EQ(taker_of(2), 2);
}

TEST_F(ReuseportTest, AProgramOfBeforeTheBindCounts) {
    Descriptor first(socket(AF_INET, SOCK_DGRAM, 0));
    ASSERT_OK(set_option(first, SO_REUSEPORT, 1));
    ASSERT_OK(attach(first, kFirstByte));
    socklen_t length = sizeof(address_);
    ASSERT_OK(bind(first, as_any(address_), length));
    ASSERT_OK(getsockname(first, as_any(address_), &length));
    sharers_.push_back(std::move(first));
    add(SOCK_DGRAM);
    for (char who : {1, 0, 1}) EXPECT_EQ(taker_of(who), who);
}

TEST_F(ReuseportTest, ConnectionsGoWhereTheProgramSays) {
    for (int i = 0; i < 3; i++) add(SOCK_STREAM);
    for (int who : {2, 0, 1}) {
        ASSERT_OK(attach(sharers_[0], always(static_cast<uint32_t>(who))));
        for (int i = 0; i < 3; i++) EXPECT_EQ(accepter(), who);
    }
    ASSERT_OK(attach(sharers_[0], always(0)));
    sharers_[0].reset(socket(AF_UNIX, SOCK_DGRAM, 0));
    EXPECT_EQ(accepter(), 2) << "the last has taken its place";
}

TEST(UnixFilter, MessagesAreCutAndDropped) {
    auto [writer, reader] = make_socket_pair(SOCK_DGRAM | SOCK_NONBLOCK);
    ASSERT_OK(attach(reader, kFirstByte, SO_ATTACH_FILTER));
    EXPECT_EQ(send(writer, "\0gone", 5, 0), 5) << "the sender does not hear of it";
    EXPECT_EQ(send(writer, "\3cut here", 9, 0), 9);
    EXPECT_EQ(send(writer, "\77all of it", 10, 0), 10);
    EXPECT_EQ(receive_text(reader), "\3cu");
    EXPECT_EQ(receive_text(reader), "\77all of it");
    EXPECT_EQ(receive_text(reader), strerror(EAGAIN));
    ASSERT_OK(set_option(reader, SO_DETACH_FILTER, 0));
    EXPECT_EQ(send(writer, "\1ab", 3, 0), 3);
    EXPECT_EQ(receive_text(reader), "\1ab");
}

TEST(UnixFilter, OfAStreamHasNoEffect) {
    auto [writer, reader] = make_socket_pair(SOCK_STREAM);
    ASSERT_OK(attach(reader, always(0), SO_ATTACH_FILTER));
    EXPECT_EQ(send(writer, "abc", 3, 0), 3);
    EXPECT_EQ(receive_text(reader), "abc");
}

TEST(UnixFilter, OfSequencedPackets) {
    auto [writer, reader] = make_socket_pair(SOCK_SEQPACKET | SOCK_NONBLOCK);
    ASSERT_OK(attach(reader, always(2), SO_ATTACH_FILTER));
    EXPECT_EQ(send(writer, "abc", 3, 0), 3);
    EXPECT_EQ(receive_text(reader), "ab");
}

TEST(NetlinkFilter, DropsAnswers) {
    Descriptor fd(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE));
    ASSERT_GE(fd, 0);
    struct {
        nlmsghdr header;
        ifinfomsg link;
    } request = {};
    request.header = {sizeof(request), RTM_GETLINK, NLM_F_REQUEST, 1, 0};
    request.link.ifi_index = 1;
    auto answer_size = [&] {
        EXPECT_EQ(send(fd, &request, sizeof(request), 0), static_cast<ssize_t>(sizeof(request)));
        char bytes[8192];
        return recv(fd, bytes, sizeof(bytes), 0);
    };
    EXPECT_GT(answer_size(), static_cast<ssize_t>(sizeof(request)));
    ASSERT_OK(attach(fd, always(0), SO_ATTACH_FILTER));
    EXPECT_ERRNO(answer_size(), EAGAIN);
    // The type of the message, in the machine's byte order.
    ASSERT_OK(attach(fd,
                     {{BPF_LD | BPF_ABS | BPF_H, 0, 0, 4},
                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, htons(RTM_NEWLINK)},
                      {BPF_RET | BPF_K, 0, 0, 0xffff},
                      {BPF_RET | BPF_K, 0, 0, 0}},
                     SO_ATTACH_FILTER));
    EXPECT_GT(answer_size(), static_cast<ssize_t>(sizeof(request)));
}

}  // namespace
