// AF_UNIX sockets and pipes that threads wait on.
#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "sockets_support.h"
#include "thread_waits.h"

namespace {

using std::chrono::milliseconds;

class BlockingTest : public SocketsTest {
  protected:
    // What goes through: different at every place.
    static char byte_at(size_t place) { return static_cast<char>(place * 2654435761u >> 13); }
    static void fill(char* data, size_t size, size_t place) {
        for (size_t i = 0; i < size; i++) data[i] = byte_at(place + i);
    }
    // Reads to the end, in pieces of many sizes.
    void expect_filled(int from, size_t size) {
        size_t got = 0, wrong = 0;
        for (ssize_t n; (n = read(from, buffer_, 1 + got % sizeof(buffer_))) > 0;) {
            for (ssize_t i = 0; i < n; i++) wrong += buffer_[i] != byte_at(got++);
        }
        EXPECT_EQ(got, size);
        EXPECT_EQ(wrong, 0u);
    }
    static void soon() { std::this_thread::sleep_for(milliseconds(20)); }
    char buffer_[65536];
};

TEST_F(BlockingTest, ReadersWaitForBytes) {
    for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
        auto [a, b] = make_socket_pair(type);
        std::thread writer([fd = int{a}] {
            soon();
            EXPECT_EQ(send(fd, "late", 4, 0), 4);
        });
        EXPECT_EQ(receive_text(b), "late");
        writer.join();
    }
}

TEST_F(BlockingTest, ReadersWaitForAll) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    std::thread writer([fd = int{a}] {
        for (const char* piece : {"one", "two", "six"}) {
            soon();
            EXPECT_EQ(send(fd, piece, 3, 0), 3);
        }
    });
    EXPECT_EQ(receive_text(b, MSG_WAITALL, 9), "onetwosix");
    writer.join();
}

TEST_F(BlockingTest, LowWaterMark) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    EXPECT_OK(set_option(b, SO_RCVLOWAT, 5));
    EXPECT_EQ(send(a, "abc", 3, 0), 3);
    std::thread writer([fd = int{a}] {
        soon();
        EXPECT_EQ(send(fd, "def", 3, 0), 3);
    });
    EXPECT_EQ(receive_text(b), "abcdef");
    writer.join();
}

TEST_F(BlockingTest, MuchDataGoesThrough) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    constexpr size_t kTotal = 8 << 20;
    std::thread writer([fd = int{a}] {
        std::vector<char> data(100000);
        size_t sent = 0;
        while (sent < kTotal) {
            const size_t part = std::min(data.size() - sent % 777, kTotal - sent);
            fill(data.data(), part, sent);
            ASSERT_EQ(send(fd, data.data(), part, 0), static_cast<ssize_t>(part));
            sent += part;
        }
        EXPECT_OK(shutdown(fd, SHUT_WR));
    });
    expect_filled(b, kTotal);
    writer.join();
}

TEST_F(BlockingTest, MuchDataGoesThroughPipes) {
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer_end(fds[1]);
    constexpr size_t kTotal = 8 << 20;
    std::thread writer([&] {
        std::vector<char> data(20000);
        for (size_t sent = 0; sent < kTotal;) {
            const size_t part = std::min(1 + sent % data.size(), kTotal - sent);
            fill(data.data(), part, sent);
            ASSERT_EQ(write(writer_end, data.data(), part), static_cast<ssize_t>(part));
            sent += part;
        }
        writer_end.reset();
    });
    expect_filled(reader, kTotal);
    writer.join();
}

TEST_F(BlockingTest, SmallPipeWritesAreAtomic) {
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer_end(fds[1]);
    std::vector<std::thread> writers;
    constexpr int kWriters = 4, kEach = 300, kSize = 700;
    for (int i = 0; i < kWriters; i++) {
        writers.emplace_back([&, i] {
            const std::string record(kSize, static_cast<char>('a' + i));
            for (int n = 0; n < kEach; n++)
                EXPECT_EQ(write(writer_end, record.data(), kSize), kSize);
        });
    }
    std::string record(kSize, '\0');
    int torn = 0;
    for (int n = 0; n < kWriters * kEach; n++) {
        size_t got = 0;
        while (got < kSize) {
            const ssize_t part = read(reader, record.data() + got, kSize - got);
            ASSERT_GT(part, 0);
            got += static_cast<size_t>(part);
        }
        torn += record != std::string(kSize, record[0]);
    }
    EXPECT_EQ(torn, 0);
    for (std::thread& writer : writers) writer.join();
}

TEST_F(BlockingTest, AcceptWaits) {
    UnixAddress address("socket");
    Descriptor listener(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 1));
    std::thread client([&] {
        soon();
        Descriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
        EXPECT_OK(connect_to(fd, address));
        EXPECT_EQ(receive_text(fd), "hello");
    });
    Descriptor server(accept(listener, nullptr, nullptr));
    ASSERT_GE(server, 0);
    EXPECT_EQ(send(server, "hello", 5, 0), 5);
    client.join();
}

TEST_F(BlockingTest, ConnectWaitsForTheBacklog) {
    UnixAddress address("socket");
    Descriptor listener(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 0));
    std::atomic<int> connected = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 5; i++) {
        clients.emplace_back([&] {
            Descriptor fd(socket(AF_UNIX, SOCK_STREAM, 0));
            EXPECT_OK(connect_to(fd, address));
            connected++;
            EXPECT_EQ(receive_text(fd), "x");
        });
    }
    EXPECT_TRUE(others_sleep(5));
    EXPECT_EQ(connected, 1);
    for (int i = 0; i < 5; i++) {
        Descriptor server(accept(listener, nullptr, nullptr));
        EXPECT_EQ(send(server, "x", 1, 0), 1);
    }
    for (std::thread& client : clients) client.join();
}

TEST_F(BlockingTest, ShutdownWakes) {
    for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
        auto [a, b] = make_socket_pair(type);
        std::thread reader([fd = int{a}] {
            char byte;
            EXPECT_EQ(recv(fd, &byte, 1, 0), 0);
        });
        soon();
        EXPECT_OK(shutdown(a, SHUT_RD));
        reader.join();
    }
    UnixAddress address("socket");
    Descriptor listener(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 0));
    std::thread acceptor([&] { EXPECT_ERRNO(accept(listener, nullptr, nullptr), EINVAL); });
    soon();
    EXPECT_OK(shutdown(listener, SHUT_RD));
    acceptor.join();
}

TEST_F(BlockingTest, PeersWakeEachOtherByClosing) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    std::thread reader([fd = int{a}] {
        char byte;
        EXPECT_EQ(recv(fd, &byte, 1, 0), 0);
    });
    soon();
    b.reset();
    reader.join();
    auto [c, d] = make_socket_pair(SOCK_STREAM);
    std::thread writer([this, fd = int{c}] {
        ssize_t sent;
        while ((sent = send(fd, buffer_, sizeof(buffer_), MSG_NOSIGNAL)) == sizeof(buffer_))
            continue;
        if (sent < 0) {
            EXPECT_TRUE(errno == ECONNRESET || errno == EPIPE) << strerror(errno);
        }
    });
    soon();
    d.reset();
    writer.join();
}

TEST_F(BlockingTest, DatagramSendersWaitForRoom) {
    UnixAddress address("socket");
    Descriptor receiver(socket(AF_UNIX, SOCK_DGRAM, 0)), sender(socket(AF_UNIX, SOCK_DGRAM, 0));
    ASSERT_OK(bind_to(receiver, address));
    ASSERT_OK(connect_to(sender, address));
    constexpr int kCount = 2000;
    std::thread thread([&] {
        for (int i = 0; i < kCount; i++) EXPECT_EQ(send(sender, &i, sizeof(i), 0), 4);
    });
    for (int i = 0; i < kCount; i++) {
        int got = -1;
        EXPECT_EQ(recv(receiver, &got, sizeof(got), 0), 4);
        EXPECT_EQ(got, i);
    }
    thread.join();
}

TEST_F(BlockingTest, PollersHearOfRoomAtThePeer) {
    UnixAddress address("socket");
    Descriptor receiver(socket(AF_UNIX, SOCK_DGRAM, 0));
    Descriptor sender(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0));
    ASSERT_OK(bind_to(receiver, address));
    ASSERT_OK(connect_to(sender, address));
    while (send(sender, "x", 1, 0) == 1) continue;
    std::thread thread([&] {
        soon();
        char byte;
        EXPECT_EQ(recv(receiver, &byte, 1, 0), 1);
    });
    pollfd entry = {sender, POLLOUT, 0};
    EXPECT_EQ(poll(&entry, 1, 60'000), 1);
    EXPECT_EQ(entry.revents, POLLOUT);
    thread.join();
}

TEST_F(BlockingTest, EpollSeesEdges) {
    auto [a, b] = make_socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
    Descriptor epoll(epoll_create1(0));
    epoll_event event = {EPOLLIN | EPOLLRDHUP | EPOLLET, {.u64 = 7}};
    ASSERT_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, b, &event));
    epoll_event got;
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 0), 0);
    send(a, "x", 1, 0);
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 0), 1);
    EXPECT_EQ(got.events, static_cast<uint32_t>(EPOLLIN));
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 0), 0);
    send(a, "y", 1, 0);
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 0), 1);
    std::thread closer([&a = a] {
        soon();
        a.reset();
    });
    EXPECT_EQ(epoll_wait(epoll, &got, 1, 60'000), 1);
    EXPECT_EQ(got.events, static_cast<uint32_t>(EPOLLIN | EPOLLRDHUP | EPOLLHUP));
    closer.join();
}

TEST_F(BlockingTest, SignalsInterruptReceives) {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    ASSERT_OK(sigaction(SIGUSR1, &action, nullptr));
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    std::thread reader([fd = int{a}] {
        char byte;
        EXPECT_ERRNO(recv(fd, &byte, 1, 0), EINTR);
    });
    EXPECT_TRUE(others_sleep(1));
    pthread_kill(reader.native_handle(), SIGUSR1);
    reader.join();
    action.sa_flags = SA_RESTART;
    ASSERT_OK(sigaction(SIGUSR1, &action, nullptr));
    std::thread restarted([fd = int{a}] { EXPECT_EQ(receive_text(fd), "restarted"); });
    EXPECT_TRUE(others_sleep(1));
    pthread_kill(restarted.native_handle(), SIGUSR1);
    soon();
    EXPECT_EQ(send(b, "restarted", 9, 0), 9);
    restarted.join();
    // Under a timeout nothing is restarted.
    ASSERT_OK(set_option(a, SO_RCVTIMEO, timeval{60, 0}));
    std::thread timed([fd = int{a}] {
        char byte;
        EXPECT_ERRNO(recv(fd, &byte, 1, 0), EINTR);
    });
    EXPECT_TRUE(others_sleep(1));
    pthread_kill(timed.native_handle(), SIGUSR1);
    timed.join();
}

TEST_F(BlockingTest, FifosWaitForTheOtherEnd) {
    ASSERT_OK(mkfifo("fifo", 0600));
    std::thread writer([] {
        soon();
        Descriptor fd(open("fifo", O_WRONLY));
        EXPECT_EQ(write(fd, "text", 4), 4);
    });
    Descriptor reader(open("fifo", O_RDONLY));
    ASSERT_GE(reader, 0);
    EXPECT_EQ(read(reader, buffer_, 10), 4);
    writer.join();
    EXPECT_EQ(read(reader, buffer_, 10), 0);
}

TEST_F(BlockingTest, SplicingWaits) {
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer_end(fds[1]);
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    std::thread mover([&, from = int{b}] {
        size_t moved = 0;
        for (ssize_t n; (n = splice(from, nullptr, writer_end, nullptr, 100000, 0)) > 0;) {
            moved += static_cast<size_t>(n);
        }
        EXPECT_EQ(moved, 300000u);
        writer_end.reset();
    });
    std::thread sender([&a = a] {
        std::vector<char> data(300000, 'x');
        EXPECT_EQ(send(a, data.data(), data.size(), 0), 300000);
        a.reset();
    });
    size_t got = 0;
    for (ssize_t n; (n = read(reader, buffer_, sizeof(buffer_))) > 0;)
        got += static_cast<size_t>(n);
    EXPECT_EQ(got, 300000u);
    mover.join();
    sender.join();
}

}  // namespace
