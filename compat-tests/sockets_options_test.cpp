// socket, socketpair, SOL_SOCKET options, and the errors that all sockets share.
#include <linux/net_tstamp.h>
#include <netinet/in.h>

#include <fstream>

#include "inet_support.h"
#include "sockets_support.h"

namespace {

class SocketOptionsTest : public SocketsTest {
  protected:
    SocketOptionsTest() : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {}
    Descriptor fd_;
    int value_ = 0;
    socklen_t length_ = sizeof(value_);
};

TEST_F(SocketOptionsTest, CreationErrors) {
    EXPECT_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    EXPECT_ERRNO(socket(1000, SOCK_STREAM, 0), EAFNOSUPPORT);
    EXPECT_ERRNO(socket(AF_UNSPEC, SOCK_STREAM, 0), EAFNOSUPPORT);
    EXPECT_ERRNO(socket(AF_UNIX, 0, 0), ESOCKTNOSUPPORT);
    EXPECT_ERRNO(socket(AF_UNIX, 12, 0), EINVAL);
    EXPECT_ERRNO(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
    EXPECT_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x40, 0), EINVAL);
    EXPECT_ERRNO(socket(AF_UNIX, SOCK_STREAM, 2), EPROTONOSUPPORT);
    int fds[2];
    EXPECT_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 5, fds), EPROTONOSUPPORT);
    EXPECT_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, reinterpret_cast<int*>(bad_pointer())),
                 EFAULT);
    DescriptorLimit limit(1);
    EXPECT_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), EMFILE);
    Descriptor last(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_GE(last, 0);
    EXPECT_ERRNO(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
}

TEST_F(SocketOptionsTest, CreationFlags) {
    Descriptor fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, PF_UNIX));
    ASSERT_GE(fd, 0);
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(get_option(fd, SO_TYPE), SOCK_DGRAM);
    EXPECT_EQ(get_option(fd, SO_DOMAIN), AF_UNIX);
    EXPECT_EQ(get_option(fd, SO_ACCEPTCONN), 0);
    EXPECT_EQ(get_option(fd, SO_ERROR), 0);
    int off = 0;
    EXPECT_OK(ioctl(fd, FIONBIO, &off));
    EXPECT_EQ(fcntl(fd, F_GETFL), O_RDWR);
    Descriptor raw(socket(AF_UNIX, SOCK_RAW, 0));
    EXPECT_EQ(get_option(raw, SO_TYPE), SOCK_DGRAM);
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_EQ(st.st_mode, S_IFSOCK | 0777u);
    char link[64] = {};
    ASSERT_GT(readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link, 63), 0);
    EXPECT_EQ(std::string(link), "socket:[" + std::to_string(st.st_ino) + "]");
    EXPECT_ERRNO(open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDWR), ENXIO);
}

TEST_F(SocketOptionsTest, NotASocket) {
    Descriptor file(open("/dev/null", O_RDWR));
    sockaddr_un address = {};
    auto* name = reinterpret_cast<sockaddr*>(&address);
    msghdr message = {};
    mmsghdr messages = {};
    for (auto [fd, error] : {std::pair{int{file}, ENOTSOCK}, {999, EBADF}}) {
        EXPECT_ERRNO(bind(fd, name, sizeof(address)), error);
        EXPECT_ERRNO(connect(fd, name, sizeof(address)), error);
        EXPECT_ERRNO(listen(fd, 1), error);
        EXPECT_ERRNO(accept(fd, nullptr, nullptr), error);
        EXPECT_ERRNO(getsockname(fd, name, &length_), error);
        EXPECT_ERRNO(getpeername(fd, name, &length_), error);
        EXPECT_ERRNO(send(fd, "x", 1, 0), error);
        EXPECT_ERRNO(recv(fd, &value_, 1, 0), error);
        EXPECT_ERRNO(sendmsg(fd, &message, 0), error);
        EXPECT_ERRNO(recvmsg(fd, &message, 0), error);
        EXPECT_ERRNO(sendmmsg(fd, &messages, 1, 0), error);
        EXPECT_ERRNO(recvmmsg(fd, &messages, 1, 0, nullptr), error);
        EXPECT_ERRNO(shutdown(fd, SHUT_RD), error);
        EXPECT_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value_, &length_), error);
        EXPECT_ERRNO(setsockopt(fd, SOL_SOCKET, SO_DEBUG, &value_, 4), error);
    }
    EXPECT_ERRNO(accept4(fd_, nullptr, nullptr, 1), EINVAL);
    EXPECT_ERRNO(accept4(file, nullptr, nullptr, 1), EINVAL);
}

TEST_F(SocketOptionsTest, SocketsAreNoFiles) {
    char byte;
    EXPECT_ERRNO(lseek(fd_, 0, SEEK_SET), ESPIPE);
    EXPECT_ERRNO(pread(fd_, &byte, 1, 0), ESPIPE);
    EXPECT_ERRNO(pwrite(fd_, &byte, 1, 0), ESPIPE);
    EXPECT_ERRNO(ftruncate(fd_, 0), EINVAL);
    EXPECT_ERRNO(fsync(fd_), EINVAL);
    int number;
    EXPECT_ERRNO(ioctl(fd_, TCGETS, &number), ENOTTY);
}

TEST_F(SocketOptionsTest, Flags) {
    for (int option : {SO_REUSEADDR, SO_REUSEPORT, SO_KEEPALIVE, SO_BROADCAST, SO_OOBINLINE,
                       SO_DONTROUTE, SO_PASSCRED, SO_NO_CHECK, SO_TIMESTAMP, SO_TIMESTAMPNS}) {
        if (option == SO_REUSEPORT) {
            Descriptor inet(socket(AF_INET, SOCK_STREAM, 0));
            if (inet < 0) continue;  // newer Linux has it for the internet's families alone
            EXPECT_OK(set_option(inet, option, 5));
            EXPECT_EQ(get_option(inet, option), 1);
            continue;
        }
        EXPECT_EQ(get_option(fd_, option), 0) << option;
        EXPECT_OK(set_option(fd_, option, 5)) << option;
        EXPECT_EQ(get_option(fd_, option), 1) << option;
        EXPECT_OK(set_option(fd_, option, 0)) << option;
        EXPECT_EQ(get_option(fd_, option), 0) << option;
    }
}

int limit(const char* name) {
    std::ifstream file(std::string("/proc/sys/net/core/") + name);
    int value = 212992;
    file >> value;
    return value;
}

TEST_F(SocketOptionsTest, Buffers) {
    EXPECT_EQ(get_option(fd_, SO_SNDBUF), 212992);
    EXPECT_EQ(get_option(fd_, SO_RCVBUF), 212992);
    EXPECT_OK(set_option(fd_, SO_SNDBUF, 20000));
    EXPECT_EQ(get_option(fd_, SO_SNDBUF), 40000);
    EXPECT_OK(set_option(fd_, SO_SNDBUF, 1));
    EXPECT_EQ(get_option(fd_, SO_SNDBUF), 4608);
    EXPECT_OK(set_option(fd_, SO_RCVBUF, 0));
    EXPECT_EQ(get_option(fd_, SO_RCVBUF), 2304);
    EXPECT_OK(set_option(fd_, SO_RCVBUF, 1 << 30));
    EXPECT_EQ(get_option(fd_, SO_RCVBUF), 2 * limit("rmem_max"));
    EXPECT_OK(set_option(fd_, SO_SNDBUF, -1));
    EXPECT_EQ(get_option(fd_, SO_SNDBUF), 2 * limit("wmem_max"));
}

TEST_F(SocketOptionsTest, Values) {
    EXPECT_EQ(get_option(fd_, SO_PRIORITY), 0);
    EXPECT_OK(set_option(fd_, SO_PRIORITY, 6));
    EXPECT_EQ(get_option(fd_, SO_PRIORITY), 6);
    EXPECT_EQ(get_option(fd_, SO_SNDLOWAT), 1);
    EXPECT_ERRNO(set_option(fd_, SO_SNDLOWAT, 5), ENOPROTOOPT);
    EXPECT_ERRNO(set_option(fd_, SO_TYPE, 5), ENOPROTOOPT);
    EXPECT_ERRNO(set_option(fd_, SO_ERROR, 5), ENOPROTOOPT);
    EXPECT_ERRNO(set_option(fd_, SO_ACCEPTCONN, 1), ENOPROTOOPT);
    EXPECT_ERRNO(set_option(fd_, 9999, 1), ENOPROTOOPT);
    EXPECT_ERRNO(getsockopt(fd_, SOL_SOCKET, 9999, &value_, &length_), ENOPROTOOPT);
    EXPECT_ERRNO(getsockopt(fd_, 12345, 1, &value_, &length_), EOPNOTSUPP);
    EXPECT_ERRNO(setsockopt(fd_, 12345, 1, &value_, 4), EOPNOTSUPP);
    linger long_linger = {1, 7};
    EXPECT_OK(set_option(fd_, SO_LINGER, long_linger));
    linger got = get_option<linger>(fd_, SO_LINGER);
    EXPECT_EQ(got.l_onoff, 1);
    EXPECT_EQ(got.l_linger, 7);
    EXPECT_ERRNO(set_option(fd_, SO_LINGER, 1), EINVAL);
}

TEST_F(SocketOptionsTest, Timeouts) {
    for (int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
        timeval got = get_option<timeval>(fd_, option);
        EXPECT_EQ(got.tv_sec, 0);
        EXPECT_EQ(got.tv_usec, 0);
        EXPECT_OK(set_option(fd_, option, timeval{3, 500000}));
        got = get_option<timeval>(fd_, option);
        EXPECT_EQ(got.tv_sec, 3);
        EXPECT_EQ(got.tv_usec, 500000);
        EXPECT_ERRNO(set_option(fd_, option, timeval{0, 1000000}), EDOM);
        EXPECT_ERRNO(set_option(fd_, option, timeval{0, -1}), EDOM);
        EXPECT_ERRNO(set_option(fd_, option, 5), EINVAL);
        EXPECT_OK(set_option(fd_, option, timeval{0, 0}));
    }
}

TEST_F(SocketOptionsTest, Lengths) {
    EXPECT_ERRNO(setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &value_, 3), EINVAL);
    EXPECT_ERRNO(setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, &value_, static_cast<socklen_t>(-1)),
                 EINVAL);
    EXPECT_ERRNO(setsockopt(fd_, SOL_SOCKET, SO_KEEPALIVE, bad_pointer(), 4), EFAULT);
    EXPECT_ERRNO(getsockopt(fd_, SOL_SOCKET, SO_TYPE, bad_pointer(), &length_), EFAULT);
    EXPECT_ERRNO(
        getsockopt(fd_, SOL_SOCKET, SO_TYPE, &value_, reinterpret_cast<socklen_t*>(bad_pointer())),
        EFAULT);
    length_ = static_cast<socklen_t>(-1);
    EXPECT_ERRNO(getsockopt(fd_, SOL_SOCKET, SO_TYPE, &value_, &length_), EINVAL);
    length_ = 2;
    value_ = 0x77777777;
    EXPECT_OK(getsockopt(fd_, SOL_SOCKET, SO_TYPE, &value_, &length_));
    EXPECT_EQ(length_, 2u);
    EXPECT_EQ(value_, 0x77770000 | SOCK_STREAM);
    length_ = 100;
    char large[100];
    EXPECT_OK(getsockopt(fd_, SOL_SOCKET, SO_TYPE, large, &length_));
    EXPECT_EQ(length_, sizeof(int));
}

TEST_F(SocketOptionsTest, Privileges) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to become another user";
    ASSERT_OK(seteuid(12345));
    EXPECT_ERRNO(set_option(fd_, SO_PRIORITY, 7), EPERM);
    EXPECT_ERRNO(set_option(fd_, SO_DEBUG, 1), EACCES);
    EXPECT_OK(set_option(fd_, SO_DEBUG, 0));
    EXPECT_ERRNO(set_option(fd_, SO_SNDBUFFORCE, 1000000), EPERM);
    EXPECT_ERRNO(set_option(fd_, SO_MARK, 1), EPERM);
    ASSERT_OK(seteuid(0));
    EXPECT_OK(set_option(fd_, SO_SNDBUFFORCE, 1000000));
    EXPECT_EQ(get_option(fd_, SO_SNDBUF), 2000000);
    EXPECT_OK(set_option(fd_, SO_DEBUG, 1));
}

TEST_F(SocketOptionsTest, Owners) {
    int owner = 0;
    EXPECT_OK(ioctl(fd_, FIOGETOWN, &owner));
    EXPECT_EQ(owner, 0);
    EXPECT_OK(fcntl(fd_, F_SETOWN, getpid()));
    EXPECT_OK(ioctl(fd_, SIOCGPGRP, &owner));
    EXPECT_EQ(owner, getpid());
}

TEST(SocketTimestampingTest, TellsWhenADatagramCame) {
    struct Times {
        timespec software, none, hardware;
    };
    constexpr int kTimestampingNew = 65;
    for (int option : {SO_TIMESTAMPING, kTimestampingNew}) {
        Descriptor fd(socket(AF_INET, SOCK_DGRAM, 0));
        sockaddr_in address = loopback();
        socklen_t length = sizeof(address);
        ASSERT_OK(bind(fd, as_any(address), length));
        ASSERT_OK(getsockname(fd, as_any(address), &length));
        ASSERT_OK(connect(fd, as_any(address), length));
        EXPECT_OK(set_option(fd, option, SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE));
        // Linux begins to stamp a moment later.
        auto is_stamped = [&] {
            EXPECT_EQ(send(fd, "?", 1, 0), 1);
            return receives_control(fd);
        };
        for (int i = 0; i < 10'000 && !is_stamped(); i++) usleep(1000);
        timespec before, after;
        clock_gettime(CLOCK_REALTIME, &before);
        ASSERT_EQ(send(fd, "now", 3, 0), 3);
        std::string received(10, '\0');
        const auto times = receive_with_control<Times>(fd, received, SOL_SOCKET, option);
        clock_gettime(CLOCK_REALTIME, &after);
        EXPECT_EQ(received, "now");
        EXPECT_GE(times.software.tv_sec, before.tv_sec);
        EXPECT_LE(times.software.tv_sec, after.tv_sec);
        EXPECT_EQ(times.none.tv_sec + times.none.tv_nsec, 0);
        EXPECT_EQ(times.hardware.tv_sec + times.hardware.tv_nsec, 0);
    }
}

}  // namespace
