// MSG_OOB on AF_UNIX streams, as Linux has it since 5.15.
#include <fcntl.h>

#include "sockets_support.h"

namespace {

class UnixUrgentTest : public SocketsTest {
  protected:
    UnixUrgentTest() { std::tie(writer_, reader_) = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK); }
    void send_urgent(std::string_view text) {
        EXPECT_EQ(send(writer_, text.data(), text.size(), MSG_OOB),
                  static_cast<ssize_t>(text.size()));
    }
    void send_plain(std::string_view text) {
        EXPECT_EQ(send(writer_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    }
    bool at_mark() {
        int value = -1;
        EXPECT_OK(ioctl(reader_, SIOCATMARK, &value));
        return value;
    }
    int waiting() {
        int value = -1;
        EXPECT_OK(ioctl(reader_, FIONREAD, &value));
        return value;
    }
    std::string read_text(int flags = 0, size_t size = 100) {
        return receive_text(reader_, flags, size);
    }
    char buffer_[8];
    const std::string kNothing = strerror(EAGAIN), kInvalid = strerror(EINVAL);

    Descriptor writer_, reader_;
};

TEST_F(UnixUrgentTest, TheLastByteIsTheUrgentOne) {
    EXPECT_EQ(read_text(MSG_OOB), kInvalid);
    EXPECT_FALSE(poll_now(reader_) & POLLPRI);
    send_urgent("hello");
    EXPECT_TRUE(poll_now(reader_) & POLLPRI);
    EXPECT_EQ(waiting(), 5);
    char byte = 0;
    msghdr message = {};
    iovec part = {&byte, 1};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    EXPECT_EQ(recvmsg(reader_, &message, MSG_OOB), 1);
    EXPECT_EQ(byte, 'o');
    EXPECT_TRUE(message.msg_flags & MSG_OOB);
    EXPECT_FALSE(poll_now(reader_) & POLLPRI);
    EXPECT_EQ(read_text(MSG_OOB), kInvalid) << "it is read once";
    EXPECT_EQ(read_text(), "hell");
    EXPECT_EQ(read_text(), kNothing);
}

TEST_F(UnixUrgentTest, ErrorsOfSending) {
    EXPECT_ERRNO(send(writer_, "", 0, MSG_OOB), EOPNOTSUPP);
    auto [first, second] = make_socket_pair(SOCK_DGRAM);
    EXPECT_ERRNO(send(first, "x", 1, MSG_OOB), EOPNOTSUPP);
    EXPECT_ERRNO(recv(first, buffer_, 1, MSG_OOB), EOPNOTSUPP);
    auto [third, fourth] = make_socket_pair(SOCK_SEQPACKET);
    EXPECT_ERRNO(send(third, "x", 1, MSG_OOB), EOPNOTSUPP);
    EXPECT_ERRNO(recv(third, buffer_, 1, MSG_OOB), EOPNOTSUPP);
    Descriptor lone(socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_ERRNO(recv(lone, buffer_, 1, MSG_OOB), EINVAL);
    reader_.reset();
    EXPECT_ERRNO(send(writer_, "x", 1, MSG_OOB), EPIPE);
}

TEST_F(UnixUrgentTest, AReadStopsAtTheMark) {
    send_urgent("abc");
    send_plain("def");
    EXPECT_FALSE(at_mark());
    EXPECT_EQ(read_text(), "ab");
    EXPECT_TRUE(at_mark());
    EXPECT_EQ(read_text(), "def") << "the urgent byte is passed over";
    EXPECT_FALSE(at_mark());
    EXPECT_EQ(read_text(MSG_OOB), kInvalid) << "and is lost";
}

TEST_F(UnixUrgentTest, TheMarkStaysWhenTheByteWasRead) {
    send_urgent("abc");
    send_plain("def");
    EXPECT_EQ(read_text(MSG_OOB), "c");
    EXPECT_FALSE(at_mark());
    EXPECT_EQ(read_text(), "ab");
    EXPECT_EQ(read_text(), "def");
}

TEST_F(UnixUrgentTest, ANewOneMakesTheOldOneData) {
    send_urgent("ab");
    send_urgent("cd");
    EXPECT_EQ(waiting(), 4);
    EXPECT_EQ(read_text(MSG_OOB | MSG_PEEK), "d");
    EXPECT_EQ(read_text(), "abc");
    EXPECT_EQ(read_text(MSG_OOB), "d");
    EXPECT_EQ(read_text(), kNothing);
}

TEST_F(UnixUrgentTest, Inline) {
    EXPECT_OK(set_option(reader_, SO_OOBINLINE, 1));
    send_urgent("abc");
    send_plain("def");
    EXPECT_TRUE(poll_now(reader_) & POLLPRI);
    EXPECT_EQ(read_text(MSG_OOB), kInvalid);
    EXPECT_EQ(read_text(), "ab");
    EXPECT_TRUE(at_mark());
    EXPECT_EQ(read_text(), "cdef");
    EXPECT_FALSE(at_mark());
}

TEST_F(UnixUrgentTest, PeeksPassItOverOrStop) {
    send_urgent("abc");
    send_plain("def");
    EXPECT_EQ(read_text(MSG_PEEK), "ab");
    EXPECT_EQ(read_text(MSG_PEEK, 1), "a");
    EXPECT_EQ(read_text(), "ab");
    EXPECT_EQ(read_text(MSG_PEEK), "def");
    EXPECT_EQ(read_text(MSG_OOB | MSG_PEEK), "c");
    EXPECT_EQ(read_text(MSG_OOB), "c");
    EXPECT_EQ(read_text(), "def");
}

TEST_F(UnixUrgentTest, AloneItIsNoData) {
    send_urgent("x");
    EXPECT_EQ(read_text(MSG_PEEK), kNothing);
    EXPECT_EQ(waiting(), 1);
    EXPECT_EQ(read_text(), kNothing);
    EXPECT_EQ(read_text(MSG_OOB), kInvalid) << "the read has dropped it";
    send_urgent("y");
    EXPECT_EQ(read_text(MSG_OOB), "y");
    EXPECT_EQ(read_text(), kNothing);
    writer_.reset();
    EXPECT_EQ(read_text(), "");
}

volatile sig_atomic_t urgent_signals;

TEST_F(UnixUrgentTest, TellsTheOwner) {
    signal(SIGURG, [](int) { urgent_signals = urgent_signals + 1; });
    ASSERT_OK(fcntl(reader_, F_SETOWN, getpid()));
    send_plain("a");
    EXPECT_EQ(urgent_signals, 0);
    send_urgent("b");
    for (int i = 0; i < 10'000 && urgent_signals == 0; i++) usleep(1000);
    EXPECT_EQ(urgent_signals, 1);
    signal(SIGURG, SIG_DFL);
}

}  // namespace
