// Control messages of AF_UNIX: descriptors and credentials; and sockets that only messages hold.
#include <netinet/in.h>

#include <tuple>

#include "sockets_support.h"

namespace {

// A msghdr with one byte of data and room for control messages.
class Message {
  public:
    explicit Message(size_t control_size = 0) : control_(control_size) {
        header.msg_iov = &part_;
        header.msg_iovlen = 1;
        if (control_size != 0) header.msg_control = control_.data();
        header.msg_controllen = control_size;
    }
    // Appends a control message to what is to be sent.
    template <typename T>
    void add(int type, const std::vector<T>& values, int level = SOL_SOCKET) {
        const size_t size = values.size() * sizeof(T), start = control_.size();
        control_.resize(start + CMSG_SPACE(size));
        auto* head = reinterpret_cast<cmsghdr*>(control_.data() + start);
        head->cmsg_level = level;
        head->cmsg_type = type;
        head->cmsg_len = CMSG_LEN(size);
        if (size != 0) memcpy(CMSG_DATA(head), values.data(), size);
        header.msg_control = control_.data();
        header.msg_controllen = control_.size();
    }
    cmsghdr* control() { return reinterpret_cast<cmsghdr*>(control_.data()); }

    // The values of the received control message of this type.
    template <typename T>
    std::vector<T> find(int type) {
        for (cmsghdr* head = CMSG_FIRSTHDR(&header); head; head = CMSG_NXTHDR(&header, head)) {
            if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != type) continue;
            std::vector<T> values((head->cmsg_len - CMSG_LEN(0)) / sizeof(T));
            memcpy(values.data(), CMSG_DATA(head), values.size() * sizeof(T));
            return values;
        }
        return {};
    }
    char byte() const { return byte_; }

    msghdr header = {};

  private:
    char byte_ = 'm';
    iovec part_ = {&byte_, 1};
    std::vector<char> control_;
};

ssize_t send_descriptors(int to, const std::vector<int>& fds) {
    Message message;
    message.add(SCM_RIGHTS, fds);
    return sendmsg(to, &message.header, 0);
}

std::vector<Descriptor> receive_descriptors(int from, size_t room = 16, int flags = 0,
                                            int* message_flags = nullptr) {
    Message message(CMSG_SPACE(room * sizeof(int)));
    EXPECT_EQ(recvmsg(from, &message.header, flags), 1) << strerror(errno);
    if (message_flags) *message_flags = message.header.msg_flags;
    std::vector<Descriptor> got;
    for (int fd : message.find<int>(SCM_RIGHTS)) got.emplace_back(fd);
    return got;
}

int count_descriptors() {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

class AncillaryTest : public SocketsTest, public testing::WithParamInterface<int> {
  protected:
    AncillaryTest() : SocketsTest() {
        std::tie(a, b) = make_socket_pair(GetParam() | SOCK_NONBLOCK);
    }
    Descriptor a, b;
    char buffer_[64];
};

INSTANTIATE_TEST_SUITE_P(Types, AncillaryTest,
                         testing::Values(SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET),
                         [](const auto& info) {
                             return info.param == SOCK_STREAM  ? "Stream"
                                    : info.param == SOCK_DGRAM ? "Datagram"
                                                               : "Seqpacket";
                         });

TEST_P(AncillaryTest, DescriptorsShareTheOpenFile) {
    write_file("file", "contents");
    Descriptor file(open("file", O_RDONLY));
    EXPECT_EQ(send_descriptors(a, {file, file}), 1);
    EXPECT_EQ(lseek(file, 3, SEEK_SET), 3);
    std::vector<Descriptor> got = receive_descriptors(b);
    ASSERT_EQ(got.size(), 2u);
    EXPECT_EQ(lseek(got[0], 0, SEEK_CUR), 3);
    EXPECT_EQ(read(got[1], buffer_, 2), 2);
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 5);
    EXPECT_EQ(fcntl(got[0], F_GETFD), 0);
}

TEST_P(AncillaryTest, DescriptorsOutliveTheirSender) {
    Descriptor ends[2];
    int fds[2];
    ASSERT_OK(pipe2(fds, O_NONBLOCK));
    ends[0].reset(fds[0]);
    ends[1].reset(fds[1]);
    EXPECT_EQ(send_descriptors(a, {ends[1]}), 1);
    ends[1].reset();
    EXPECT_ERRNO(read(ends[0], buffer_, 1), EAGAIN);  // the message holds the other end
    std::vector<Descriptor> got = receive_descriptors(b, 1, MSG_CMSG_CLOEXEC);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(fcntl(got[0], F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(write(got[0], "x", 1), 1);
    EXPECT_EQ(read(ends[0], buffer_, 1), 1);
    EXPECT_EQ(send_descriptors(a, {got[0]}), 1);
    got.clear();
    EXPECT_EQ(recv(b, buffer_, 1, 0), 1);  // without room for it, the descriptor is closed
    EXPECT_EQ(read(ends[0], buffer_, 1), 0);
}

TEST_P(AncillaryTest, UnreadMessagesCloseTheirDescriptors) {
    int fds[2];
    ASSERT_OK(pipe2(fds, O_NONBLOCK));
    Descriptor reader(fds[0]), writer(fds[1]);
    EXPECT_EQ(send_descriptors(a, {writer}), 1);
    writer.reset();
    b.reset();
    EXPECT_EQ(read(reader, buffer_, 1), 0);
}

TEST_P(AncillaryTest, TooLittleRoomIsTold) {
    const int before = count_descriptors();
    EXPECT_EQ(send_descriptors(a, {0, 1, 2}), 1);
    int flags = 0;
    {
        std::vector<Descriptor> got = receive_descriptors(b, 2, 0, &flags);
        EXPECT_EQ(got.size(), 2u);
        EXPECT_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
    }
    EXPECT_EQ(send_descriptors(a, {0, 1, 2}), 1);
    Message none;
    EXPECT_EQ(recvmsg(b, &none.header, 0), 1);
    EXPECT_EQ(none.header.msg_flags & MSG_CTRUNC, MSG_CTRUNC);
    EXPECT_EQ(count_descriptors(), before);
    EXPECT_EQ(send_descriptors(a, {0}), 1);
    Message exact(CMSG_LEN(sizeof(int)));  // without the padding
    EXPECT_EQ(recvmsg(b, &exact.header, 0), 1);
    EXPECT_EQ(exact.header.msg_flags, 0);
    EXPECT_EQ(exact.header.msg_controllen, CMSG_LEN(sizeof(int)));
    for (int fd : exact.find<int>(SCM_RIGHTS)) close(fd);
}

TEST_P(AncillaryTest, PeekGivesDescriptorsToo) {
    EXPECT_EQ(send_descriptors(a, {0}), 1);
    EXPECT_EQ(receive_descriptors(b, 4, MSG_PEEK).size(), 1u);
    EXPECT_EQ(receive_descriptors(b).size(), 1u);
}

TEST_P(AncillaryTest, DescriptorErrors) {
    EXPECT_ERRNO(send_descriptors(a, {999}), EBADF);
    EXPECT_ERRNO(send_descriptors(a, {-1}), EBADF);
    EXPECT_ERRNO(send_descriptors(a, std::vector<int>(254, 0)), EINVAL);
    EXPECT_EQ(send_descriptors(a, std::vector<int>(253, 0)), 1);
    EXPECT_EQ(receive_descriptors(b, 300).size(), 253u);
    EXPECT_EQ(send_descriptors(a, {}), 1);
    EXPECT_EQ(receive_descriptors(b).size(), 0u);
    Message wrong_type;
    wrong_type.add<int>(77, {0});
    EXPECT_ERRNO(sendmsg(a, &wrong_type.header, 0), EINVAL);
    Message other_level;  // of no interest to AF_UNIX
    other_level.add<int>(77, {0}, IPPROTO_IP);
    EXPECT_EQ(sendmsg(a, &other_level.header, 0), 1);
    Message short_length;
    short_length.add<int>(SCM_RIGHTS, {0});
    short_length.control()->cmsg_len = CMSG_LEN(0) - 1;
    EXPECT_ERRNO(sendmsg(a, &short_length.header, 0), EINVAL);
    short_length.control()->cmsg_len = 1000;
    EXPECT_ERRNO(sendmsg(a, &short_length.header, 0), EINVAL);
    Message bad_memory;
    bad_memory.header.msg_control = bad_pointer();
    bad_memory.header.msg_controllen = CMSG_SPACE(sizeof(int));
    EXPECT_ERRNO(sendmsg(a, &bad_memory.header, 0), EFAULT);
    Message huge;
    huge.header.msg_control = buffer_;
    huge.header.msg_controllen = 1 << 30;
    EXPECT_ERRNO(sendmsg(a, &huge.header, 0), ENOBUFS);
}

TEST_P(AncillaryTest, NoDescriptorsLeft) {
    EXPECT_EQ(send_descriptors(a, {0, 1}), 1);
    DescriptorLimit limit(1);
    int flags = 0;
    EXPECT_EQ(receive_descriptors(b, 4, 0, &flags).size(), 1u);
    EXPECT_EQ(flags & MSG_CTRUNC, MSG_CTRUNC);
}

TEST_P(AncillaryTest, CredentialsAreTold) {
    EXPECT_EQ(send(a, "x", 1, 0), 1);  // before anybody asks for them
    EXPECT_EQ(recv(b, buffer_, 1, 0), 1);
    EXPECT_OK(set_option(b, SO_PASSCRED, 1));
    EXPECT_EQ(get_option(b, SO_PASSCRED), 1);
    EXPECT_EQ(send(a, "x", 1, 0), 1);
    Message message(200);
    EXPECT_EQ(recvmsg(b, &message.header, 0), 1);
    std::vector<ucred> got = message.find<ucred>(SCM_CREDENTIALS);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].pid, getpid());
    EXPECT_EQ(got[0].uid, getuid());
    EXPECT_EQ(got[0].gid, getgid());
    EXPECT_EQ(message.header.msg_controllen, CMSG_SPACE(sizeof(ucred)));
}

TEST_P(AncillaryTest, UnaskedCredentialsAreNobodys) {
    EXPECT_EQ(send(a, "x", 1, 0), 1);
    EXPECT_OK(set_option(b, SO_PASSCRED, 1));
    Message message(200);
    EXPECT_EQ(recvmsg(b, &message.header, 0), 1);
    std::vector<ucred> got = message.find<ucred>(SCM_CREDENTIALS);
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0].pid, 0);
    EXPECT_EQ(got[0].uid, 65534u);
    EXPECT_EQ(got[0].gid, 65534u);
}

TEST_P(AncillaryTest, CredentialsCanBeGiven) {
    EXPECT_OK(set_option(b, SO_PASSCRED, 1));
    Message out;
    out.add<ucred>(SCM_CREDENTIALS, {{getpid(), getuid(), getgid()}});
    out.add<int>(SCM_RIGHTS, {0});
    EXPECT_EQ(sendmsg(a, &out.header, 0), 1);
    Message in(200);
    EXPECT_EQ(recvmsg(b, &in.header, 0), 1);
    EXPECT_EQ(in.header.msg_flags, 0);
    ASSERT_EQ(in.find<ucred>(SCM_CREDENTIALS).size(), 1u);
    ASSERT_EQ(in.find<int>(SCM_RIGHTS).size(), 1u);
    EXPECT_EQ(CMSG_FIRSTHDR(&in.header)->cmsg_type, SCM_CREDENTIALS);
    close(in.find<int>(SCM_RIGHTS)[0]);

    Message short_one;
    short_one.add<int>(SCM_CREDENTIALS, {getpid()});
    EXPECT_ERRNO(sendmsg(a, &short_one.header, 0), EINVAL);
    if (geteuid() != 0) return;
    ASSERT_OK(seteuid(12345));
    Message forged;
    forged.add<ucred>(SCM_CREDENTIALS, {{getpid(), 4711, getgid()}});
    EXPECT_ERRNO(sendmsg(a, &forged.header, 0), EPERM);
    forged = Message();
    ASSERT_OK(seteuid(0));
}

TEST_P(AncillaryTest, PeersHaveCredentials) {
    ucred peer = get_option<ucred>(a, SO_PEERCRED);
    EXPECT_EQ(peer.pid, getpid());
    EXPECT_EQ(peer.uid, geteuid());
    EXPECT_EQ(peer.gid, getegid());
    Descriptor lonely(socket(AF_UNIX, GetParam(), 0));
    peer = get_option<ucred>(lonely, SO_PEERCRED);
    EXPECT_EQ(peer.pid, 0);
    EXPECT_EQ(peer.uid, static_cast<uid_t>(-1));
    EXPECT_EQ(peer.gid, static_cast<gid_t>(-1));
}

// A pipe whose write end is sent along shows when a socket is gone.
class Witness {
  public:
    Witness() {
        int fds[2];
        EXPECT_OK(pipe2(fds, O_NONBLOCK));
        reader_.reset(fds[0]);
        writer_.reset(fds[1]);
    }
    void send_over(int fd) {
        EXPECT_EQ(send_descriptors(fd, {writer_}), 1);
        writer_.reset();
    }
    bool is_gone() {
        char byte;
        return read(reader_, &byte, 1) == 0;
    }

  private:
    Descriptor reader_, writer_;
};

// Linux looks for cycles in its own time; closing another socket asks it to.
void expect_gone(Witness& witness) {
    for (int i = 0; i < 200 && !witness.is_gone(); i++) {
        make_socket_pair(SOCK_STREAM);
        usleep(10000);
    }
    EXPECT_TRUE(witness.is_gone());
}

TEST_P(AncillaryTest, SocketsInTheirOwnQueuesGo) {
    Witness witness;
    witness.send_over(a);
    EXPECT_EQ(send_descriptors(a, {b}), 1);  // b's queue holds b
    b.reset();
    EXPECT_FALSE(witness.is_gone());
    a.reset();
    expect_gone(witness);
}

TEST_P(AncillaryTest, CyclesOfSocketsGo) {
    auto [c, d] = make_socket_pair(GetParam() | SOCK_NONBLOCK);
    Witness witness;
    witness.send_over(a);
    EXPECT_EQ(send_descriptors(a, {d, c}), 1);  // b's queue holds c and d
    EXPECT_EQ(send_descriptors(c, {b, a}), 1);  // d's queue holds a and b
    for (Descriptor* fd : {&a, &b, &c, &d}) fd->reset();
    expect_gone(witness);
}

TEST_P(AncillaryTest, CyclesThatCanBeReachedStay) {
    auto [c, d] = make_socket_pair(GetParam() | SOCK_NONBLOCK);
    auto [e, f] = make_socket_pair(GetParam() | SOCK_NONBLOCK);
    Witness witness;
    witness.send_over(a);
    EXPECT_EQ(send_descriptors(a, {d, c}), 1);
    EXPECT_EQ(send_descriptors(c, {b, a}), 1);
    EXPECT_EQ(send_descriptors(e, {d}), 1);  // f's queue leads to d, and so to all
    for (Descriptor* fd : {&a, &b, &c, &d}) fd->reset();
    for (int i = 0; i < 5; i++) {
        make_socket_pair(SOCK_STREAM);
        usleep(10000);
    }
    EXPECT_FALSE(witness.is_gone());
    std::vector<Descriptor> got = receive_descriptors(f);  // d
    ASSERT_EQ(got.size(), 1u);
    std::vector<Descriptor> inner = receive_descriptors(got[0]);  // b and a
    ASSERT_EQ(inner.size(), 2u);
    EXPECT_FALSE(witness.is_gone());
    EXPECT_EQ(receive_descriptors(inner[0]).size(), 1u);  // the witness
    EXPECT_TRUE(witness.is_gone());
}

TEST_P(AncillaryTest, DeepChainsAreClosed) {
    // Each socket's queue holds the one before it.
    Witness witness;
    witness.send_over(a);
    Descriptor inner = std::move(b);
    a.reset();
    for (int i = 0; i < 500; i++) {
        auto [c, d] = make_socket_pair(GetParam() | SOCK_NONBLOCK);
        if (send_descriptors(c, {inner}) != 1) {
            EXPECT_EQ(errno, ETOOMANYREFS);  // Linux once limited the depth
            break;
        }
        inner = std::move(d);
    }
    EXPECT_FALSE(witness.is_gone());
    inner.reset();
    expect_gone(witness);
}

TEST_P(AncillaryTest, ConnectionsThatNobodyAcceptedCount) {
    if (GetParam() == SOCK_DGRAM) return;
    UnixAddress address(abstract_name("cycle"));
    Descriptor listener(socket(AF_UNIX, GetParam() | SOCK_NONBLOCK, 0));
    Descriptor client(socket(AF_UNIX, GetParam() | SOCK_NONBLOCK, 0));
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 1));
    ASSERT_OK(connect_to(client, address));
    Witness witness;
    witness.send_over(client);
    EXPECT_EQ(send_descriptors(client, {listener}), 1);  // the listener is in its own queue
    listener.reset();
    client.reset();
    expect_gone(witness);
}

TEST(AncillaryStreamTest, DescriptorsEndARead) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    send(a, "before", 6, 0);
    send_descriptors(a, {0});
    send(a, "after", 5, 0);
    char data[32];
    iovec part = {data, sizeof(data)};
    char control[64];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    EXPECT_EQ(recvmsg(b, &message, 0), 7);  // up to and with the byte that carries it
    EXPECT_EQ(std::string(data, 7), "beforem");
    ASSERT_EQ(message.msg_controllen, CMSG_SPACE(sizeof(int)));
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    EXPECT_OK(close(fd));
    message.msg_controllen = sizeof(control);
    EXPECT_EQ(recvmsg(b, &message, 0), 5);
    EXPECT_EQ(message.msg_controllen, 0u);
}

TEST(AncillaryStreamTest, SendersAreNamedWhereTheyAskForCredentials) {
    Descriptor receiver(socket(AF_UNIX, SOCK_DGRAM, 0)), sender(socket(AF_UNIX, SOCK_DGRAM, 0));
    UnixAddress address(abstract_name("receiver"));
    ASSERT_OK(bind_to(receiver, address));
    ASSERT_OK(set_option(sender, SO_PASSCRED, 1));
    ASSERT_EQ(sendto(sender, "x", 1, 0, address.get(), address.length), 1);
    sockaddr_un name;
    socklen_t length = sizeof(name);
    char byte;
    EXPECT_EQ(recvfrom(receiver, &byte, 1, 0, reinterpret_cast<sockaddr*>(&name), &length), 1);
    EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + 6);  // bound by itself
}

}  // namespace
