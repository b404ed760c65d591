// TCP over loopback: bytes in all the ways that they can be sent and received.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "inet_support.h"

namespace {

class TcpTransfer : public testing::Test, protected TcpPair {
  protected:
    static void set(int fd, int level, int option, int value) {
        EXPECT_EQ(setsockopt(fd, level, option, &value, sizeof(value)), 0);
    }
    std::string receive(int flags = 0, size_t size = 64) {
        std::string text(size, '\0');
        ssize_t got = recv(server, text.data(), size, flags);
        text.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return text;
    }
    // Sends what is to be held back, for 200 milliseconds at most: who finds out later than that
    // whether it came, on a busy machine, has learned nothing, and tries again.
    void expect_held_back(const char* text, int flags) {
        using Clock = std::chrono::steady_clock;
        constexpr int kAttempts = 50;
        for (int i = 0; i < kAttempts; i++) {
            Clock::time_point start = Clock::now();
            ASSERT_EQ(send(client, text, strlen(text), flags), static_cast<ssize_t>(strlen(text)));
            if (events_of(server, POLLIN, 50) == 0) return;
            ASSERT_GE(Clock::now() - start, std::chrono::milliseconds(200));
            ASSERT_EQ(receive(), text);
        }
        FAIL() << "this machine is too slow";
    }
};

char pattern(size_t at) {
    return static_cast<char>(at * 131 ^ at >> 9);
}

TEST_F(TcpTransfer, WritesAreNoRecords) {
    ASSERT_EQ(write(client, "one ", 4), 4);
    ASSERT_EQ(write(client, "two", 3), 3);
    usleep(10000);
    EXPECT_EQ(receive(), "one two");
}

TEST_F(TcpTransfer, Vectors) {
    char a[] = "scat", b[] = "tered";
    iovec out[] = {{a, 4}, {nullptr, 0}, {b, 5}};
    ASSERT_EQ(writev(client, out, 3), 9);
    char c[3], d[16];
    iovec in[] = {{c, 3}, {d, 16}};
    EXPECT_EQ(readv(server, in, 2), 9);
    EXPECT_EQ(std::string(c, 3) + std::string(d, 6), "scattered");
}

TEST_F(TcpTransfer, Peek) {
    send(client, "peek", 4, 0);
    EXPECT_EQ(receive(MSG_PEEK), "peek");
    EXPECT_EQ(receive(MSG_PEEK, 2), "pe");
    EXPECT_EQ(receive(), "peek");
    EXPECT_EQ(receive(MSG_DONTWAIT), "");
    EXPECT_EQ(errno, EAGAIN);
}

TEST_F(TcpTransfer, TruncateDiscards) {
    send(client, "0123456789", 10, 0);
    usleep(5000);
    EXPECT_EQ(recv(server, nullptr, 4, MSG_TRUNC), 4);
    EXPECT_EQ(receive(), "456789");
}

TEST_F(TcpTransfer, WaitAll) {
    std::thread later([&] {
        usleep(20000);
        send(client, "world", 5, 0);
    });
    send(client, "hello ", 6, 0);
    EXPECT_EQ(receive(MSG_WAITALL, 11), "hello world");
    later.join();
}

TEST_F(TcpTransfer, WaitAllEndsAtEndOfFile) {
    send(client, "short", 5, 0);
    shutdown(client, SHUT_WR);
    EXPECT_EQ(receive(MSG_WAITALL, 11), "short");
}

TEST_F(TcpTransfer, ReceiveGivesNoName) {
    send(client, "x", 1, 0);
    sockaddr_in from{};
    socklen_t length = sizeof(from);
    char byte;
    EXPECT_EQ(recvfrom(server, &byte, 1, 0, reinterpret_cast<sockaddr*>(&from), &length), 1);
    EXPECT_EQ(length, 0u);
}

TEST_F(TcpTransfer, SendtoIgnoresTheAddress) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    EXPECT_EQ(sendto(client, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 1);
    EXPECT_EQ(receive(), "x");
}

TEST_F(TcpTransfer, TimesOut) {
    timeval timeout{0, 30000};
    setsockopt(server, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    EXPECT_EQ(receive(), "");
    EXPECT_EQ(errno, EAGAIN);
}

TEST_F(TcpTransfer, LowWater) {
    set(server, SOL_SOCKET, SO_RCVLOWAT, 4);
    send(client, "abc", 3, 0);
    EXPECT_EQ(events_of(server, POLLIN, 30), 0);
    send(client, "d", 1, 0);
    EXPECT_EQ(events_of(server, POLLIN), POLLIN);
    EXPECT_EQ(receive(), "abcd");
}

TEST_F(TcpTransfer, QueueSizes) {
    int size = -1;
    ASSERT_EQ(ioctl(server, FIONREAD, &size), 0);
    EXPECT_EQ(size, 0);
    send(client, "12345", 5, 0);
    usleep(5000);
    ASSERT_EQ(ioctl(server, FIONREAD, &size), 0);
    EXPECT_EQ(size, 5);
    ASSERT_EQ(ioctl(client, TIOCOUTQ, &size), 0);
    EXPECT_EQ(size, 0);
}

TEST_F(TcpTransfer, BadAddresses) {
    EXPECT_EQ(send(client, reinterpret_cast<void*>(16), 8, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    send(client, "kept", 4, 0);
    usleep(5000);
    EXPECT_EQ(recv(server, reinterpret_cast<void*>(16), 4, 0), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(receive(), "kept");
    EXPECT_EQ(lseek(client, 0, SEEK_CUR), -1);
    EXPECT_EQ(errno, ESPIPE);
}

TEST_F(TcpTransfer, NonBlockingFillsTheBuffer) {
    fcntl(client, F_SETFL, O_NONBLOCK);
    std::vector<char> block(65536);
    size_t sent = 0;
    for (;;) {
        for (size_t i = 0; i < block.size(); i++) block[i] = pattern(sent + i);
        ssize_t done = send(client, block.data(), block.size(), 0);
        if (done < 0) {
            EXPECT_EQ(errno, EAGAIN);
            break;
        }
        sent += static_cast<size_t>(done);
        ASSERT_LT(sent, size_t{64} << 20);
    }
    EXPECT_GT(sent, 65536u);
    EXPECT_EQ(events_of(client, POLLOUT, 20), 0);
    size_t got = 0;
    while (got < sent) {
        ssize_t done = recv(server, block.data(), block.size(), 0);
        ASSERT_GT(done, 0);
        for (ssize_t i = 0; i < done; i++) ASSERT_EQ(block[i], pattern(got + i));
        got += static_cast<size_t>(done);
    }
    EXPECT_EQ(events_of(client, POLLOUT), POLLOUT);
}

TEST_F(TcpTransfer, MegabytesBothWays) {
    static constexpr size_t kTotal = 8 << 20;
    auto sender = [](int fd) {
        std::vector<char> block(100000);
        for (size_t sent = 0; sent < kTotal;) {
            size_t size = std::min(block.size(), kTotal - sent);
            for (size_t i = 0; i < size; i++) block[i] = pattern(sent + i);
            ssize_t done = send(fd, block.data(), size, 0);
            ASSERT_GT(done, 0);
            sent += static_cast<size_t>(done);
        }
        shutdown(fd, SHUT_WR);
    };
    auto receiver = [](int fd) {
        std::vector<char> block(30000);
        size_t got = 0;
        for (ssize_t done; (done = recv(fd, block.data(), block.size(), 0)) > 0;) {
            for (ssize_t i = 0; i < done; i++) ASSERT_EQ(block[i], pattern(got + i));
            got += static_cast<size_t>(done);
        }
        EXPECT_EQ(got, kTotal);
    };
    std::thread one(sender, int{client}), two(sender, int{server}), three(receiver, int{client});
    receiver(server);
    one.join();
    two.join();
    three.join();
}

TEST_F(TcpTransfer, RequestsAndAnswers) {
    std::thread echo([&] {
        char text[64];
        for (ssize_t size; (size = read(server, text, sizeof(text))) > 0;) {
            ASSERT_EQ(write(server, text, static_cast<size_t>(size)), size);
        }
    });
    for (int i = 0; i < 2000; i++) {
        std::string request = "request " + std::to_string(i);
        ASSERT_EQ(write(client, request.data(), request.size()),
                  static_cast<ssize_t>(request.size()));
        char text[64];
        ssize_t size = read(client, text, sizeof(text));
        ASSERT_EQ(std::string(text, static_cast<size_t>(size)), request);
    }
    shutdown(client, SHUT_WR);
    echo.join();
}

TEST_F(TcpTransfer, CorkHoldsBack) {
    set(client, IPPROTO_TCP, TCP_CORK, 1);
    expect_held_back("part", 0);
    set(client, IPPROTO_TCP, TCP_CORK, 0);
    EXPECT_EQ(events_of(server, POLLIN), POLLIN);
    EXPECT_EQ(receive(), "part");
    // For 200 milliseconds at most.
    set(client, IPPROTO_TCP, TCP_CORK, 1);
    send(client, "late", 4, 0);
    EXPECT_EQ(events_of(server, POLLIN), POLLIN);
    EXPECT_EQ(receive(), "late");
}

TEST_F(TcpTransfer, MoreHoldsBack) {
    set(client, IPPROTO_TCP, TCP_NODELAY, 1);
    expect_held_back("head", MSG_MORE);
    send(client, "tail", 4, 0);
    EXPECT_EQ(receive(MSG_WAITALL, 8), "headtail");
}

TEST_F(TcpTransfer, UrgentByte) {
    send(client, "ab!", 3, MSG_OOB);
    EXPECT_EQ(events_of(server, POLLPRI), POLLPRI);
    int at_mark = -1;
    ASSERT_EQ(ioctl(server, SIOCATMARK, &at_mark), 0);
    EXPECT_EQ(at_mark, 0);
    EXPECT_EQ(receive(MSG_OOB, 1), "!");
    EXPECT_EQ(recv(server, &at_mark, 1, MSG_OOB), -1);
    EXPECT_EQ(errno, EINVAL);
    send(client, "cd", 2, 0);
    usleep(5000);
    EXPECT_EQ(receive(), "ab");
    ASSERT_EQ(ioctl(server, SIOCATMARK, &at_mark), 0);
    EXPECT_EQ(at_mark, 1);
    EXPECT_EQ(receive(), "cd");
}

TEST_F(TcpTransfer, UrgentInline) {
    set(server, SOL_SOCKET, SO_OOBINLINE, 1);
    send(client, "ab!", 3, MSG_OOB);
    EXPECT_EQ(events_of(server, POLLPRI), POLLPRI);
    char byte;
    EXPECT_EQ(recv(server, &byte, 1, MSG_OOB), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(receive(), "ab");
    EXPECT_EQ(receive(), "!");
}

volatile sig_atomic_t urgent_signals;

TEST_F(TcpTransfer, UrgentByteTellsTheOwner) {
    signal(SIGURG, [](int) { urgent_signals = urgent_signals + 1; });
    ASSERT_EQ(fcntl(server, F_SETOWN, getpid()), 0);
    send(client, "a", 1, 0);
    EXPECT_EQ(receive(), "a");
    EXPECT_EQ(urgent_signals, 0);
    send(client, "b", 1, MSG_OOB);
    for (int i = 0; i < 60'000 && urgent_signals == 0; i++) usleep(1000);
    EXPECT_EQ(urgent_signals, 1);
    signal(SIGURG, SIG_DFL);
}

TEST_F(TcpTransfer, NoUrgentByte) {
    char byte;
    EXPECT_EQ(recv(server, &byte, 1, MSG_OOB), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(TcpTransfer, Sendfile) {
    int file = memfd_create("file", 0);
    std::string content(200000, '\0');
    for (size_t i = 0; i < content.size(); i++) content[i] = pattern(i);
    ASSERT_EQ(write(file, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    std::thread sender([&] {
        off_t offset = 0;
        while (offset < static_cast<off_t>(content.size())) {
            ASSERT_GT(sendfile(client, file, &offset, content.size() - offset), 0);
        }
        shutdown(client, SHUT_WR);
    });
    std::string got;
    for (std::string piece; !(piece = receive(0, 50000)).empty();) got += piece;
    sender.join();
    EXPECT_EQ(got, content);
    close(file);
}

TEST_F(TcpTransfer, EdgeTriggeredEpoll) {
    int epoll = epoll_create1(0);
    epoll_event event{EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.fd = server}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event), 0);
    epoll_event got;
    ASSERT_EQ(epoll_wait(epoll, &got, 1, 1000), 1);
    EXPECT_EQ(got.events, EPOLLOUT);
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 20), 0);
    send(client, "x", 1, 0);
    ASSERT_EQ(epoll_wait(epoll, &got, 1, 1000), 1);
    EXPECT_EQ(got.events, EPOLLIN | EPOLLOUT);
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 20), 0);
    shutdown(client, SHUT_WR);
    ASSERT_EQ(epoll_wait(epoll, &got, 1, 1000), 1);
    EXPECT_EQ(got.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    close(epoll);
}

// Nothing looks at the socket between the full buffer and the wait.
TEST_F(TcpTransfer, EdgeTriggeredEpollOfAFullBuffer) {
    fcntl(client, F_SETFL, O_NONBLOCK);
    int epoll = epoll_create1(0);
    epoll_event event{EPOLLOUT | EPOLLET, {.fd = client}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, client, &event), 0);
    std::vector<char> block(65536);
    epoll_event got;
    for (int round = 0; round < 3; round++) {
        ASSERT_EQ(epoll_wait(epoll, &got, 1, 60'000), 1) << round;
        EXPECT_EQ(got.events, EPOLLOUT);
        size_t sent = 0;
        for (ssize_t done; (done = send(client, block.data(), block.size(), 0)) > 0;) {
            sent += static_cast<size_t>(done);
            ASSERT_LT(sent, size_t{64} << 20);
        }
        EXPECT_EQ(errno, EAGAIN);
        while (sent > 0) {
            ssize_t done = recv(server, block.data(), block.size(), 0);
            ASSERT_GT(done, 0);
            sent -= static_cast<size_t>(done);
        }
    }
    close(epoll);
}

TEST_F(TcpTransfer, UnreadBytesAreToldWithTheData) {
    auto read = [&](size_t size) {
        std::string text(size, '\0');
        int unread = receive_with_control<int>(server, text, IPPROTO_TCP, TCP_CM_INQ);
        return std::pair(text, unread);
    };
    const int two = 2;
    EXPECT_EQ(setsockopt(server, IPPROTO_TCP, TCP_INQ, &two, sizeof(two)), -1);
    set(server, IPPROTO_TCP, TCP_INQ, 1);
    ASSERT_EQ(::send(client, "0123456789", 10, 0), 10);
    EXPECT_EQ(read(4), std::pair(std::string("0123"), 6));
    EXPECT_EQ(read(6), std::pair(std::string("456789"), 0));
    ASSERT_EQ(::send(client, "x", 1, 0), 1);
    ASSERT_EQ(shutdown(client, SHUT_WR), 0);
    EXPECT_EQ(events_of(server, POLLRDHUP), POLLRDHUP);
    EXPECT_EQ(read(1), std::pair(std::string("x"), 1));
    EXPECT_EQ(read(1), std::pair(std::string(), 1));
}

}  // namespace
