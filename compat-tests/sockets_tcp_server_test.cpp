// TCP servers as they are written: an epoll loop with many connections, threads that share a
// listener, slow readers, and sockets that one thread closes under another.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "inet_support.h"

namespace {

class TcpServer : public testing::Test {
  protected:
    TcpServer() : listener(make_listener(address, 1024)) {}
    int connect_client() const {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        return fd;
    }
    static uint64_t now_ms() {
        timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<uint64_t>(time.tv_sec) * 1000 +
               static_cast<uint64_t>(time.tv_nsec) / 1000000;
    }
    sockaddr_in address;
    Descriptor listener;
};

// Echoes until `connections` have come and gone.
void serve(int listener, int connections) {
    int epoll = epoll_create1(0);
    fcntl(listener, F_SETFL, O_NONBLOCK);
    epoll_event event{EPOLLIN, {.fd = listener}};
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (int gone = 0; gone < connections;) {
        epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, 10000);
        ASSERT_GT(count, 0);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                for (int made; (made = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
                    event = {EPOLLIN | EPOLLET, {.fd = made}};
                    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, made, &event), 0);
                }
                continue;
            }
            char text[256];
            ssize_t size;
            while ((size = read(fd, text, sizeof(text))) > 0) {
                ASSERT_EQ(write(fd, text, static_cast<size_t>(size)), size);
            }
            if (size == 0) {
                close(fd);
                gone++;
            }
        }
    }
    close(epoll);
}

TEST_F(TcpServer, EpollLoopWithManyConnections) {
    constexpr int kConnections = 300, kRounds = 10;
    std::thread server(serve, int{listener}, kConnections);
    std::vector<int> clients;
    for (int i = 0; i < kConnections; i++) clients.push_back(connect_client());
    for (int round = 0; round < kRounds; round++) {
        for (int i = 0; i < kConnections; i++) {
            std::string text = std::to_string(round) + ":" + std::to_string(i);
            ASSERT_EQ(send(clients[static_cast<size_t>(i)], text.data(), text.size(), 0),
                      static_cast<ssize_t>(text.size()));
        }
        for (int i = 0; i < kConnections; i++) {
            std::string text = std::to_string(round) + ":" + std::to_string(i);
            char answer[64];
            ASSERT_EQ(recv(clients[static_cast<size_t>(i)], answer, text.size(), MSG_WAITALL),
                      static_cast<ssize_t>(text.size()));
            ASSERT_EQ(std::string(answer, text.size()), text);
        }
    }
    for (int fd : clients) close(fd);
    server.join();
}

TEST_F(TcpServer, ThreadsShareAListener) {
    constexpr int kThreads = 4, kConnections = 80;
    std::atomic<int> served = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; i++) {
        threads.emplace_back([&] {
            for (int fd; (fd = accept(listener, nullptr, nullptr)) >= 0;) {
                char byte;
                EXPECT_EQ(read(fd, &byte, 1), 1);
                served += byte == 'x';
                close(fd);
            }
            EXPECT_EQ(errno, EINVAL);
        });
    }
    for (int i = 0; i < kConnections; i++) {
        int fd = connect_client();
        ASSERT_EQ(write(fd, "x", 1), 1);
        char byte;
        EXPECT_EQ(read(fd, &byte, 1), 0);
        close(fd);
    }
    EXPECT_EQ(served, kConnections);
    // Shutting a listener down wakes those that wait on it.
    EXPECT_EQ(shutdown(listener, SHUT_RD), 0);
    for (std::thread& thread : threads) thread.join();
}

TEST_F(TcpServer, SlowReaderHoldsTheWriter) {
    constexpr size_t kTotal = 3 << 20;
    int client = connect_client();
    int server = accept(listener, nullptr, nullptr);
    std::thread writer([&] {
        std::string block(70000, '\0');
        for (size_t sent = 0; sent < kTotal;) {
            size_t size = std::min<size_t>(block.size(), kTotal - sent);
            for (size_t i = 0; i < size; i++) block[i] = static_cast<char>((sent + i) * 31 >> 3);
            ssize_t done = send(client, block.data(), size, 0);
            ASSERT_GT(done, 0);
            sent += static_cast<size_t>(done);
        }
        close(client);
    });
    size_t got = 0;
    char text[5000];
    for (ssize_t size; (size = recv(server, text, sizeof(text), 0)) > 0;) {
        for (ssize_t i = 0; i < size; i++) {
            ASSERT_EQ(text[i], static_cast<char>((got + static_cast<size_t>(i)) * 31 >> 3));
        }
        got += static_cast<size_t>(size);
        if (got % 7 == 0) usleep(2000);
    }
    writer.join();
    EXPECT_EQ(got, kTotal);
    close(server);
}

TEST_F(TcpServer, ShutdownWakesAReader) {
    int client = connect_client();
    std::thread reader([&] {
        char byte;
        EXPECT_EQ(recv(client, &byte, 1, 0), 0);
    });
    usleep(30000);
    EXPECT_EQ(shutdown(client, SHUT_RDWR), 0);
    reader.join();
    close(client);
}

TEST_F(TcpServer, LingeringCloseWaitsForTheReader) {
    int client = connect_client();
    int server = accept(listener, nullptr, nullptr);
    std::string block(3 << 20, 'x');
    fcntl(client, F_SETFL, O_NONBLOCK);
    while (send(client, block.data(), block.size(), 0) > 0) continue;
    fcntl(client, F_SETFL, 0);
    linger value{1, 10};
    ASSERT_EQ(setsockopt(client, SOL_SOCKET, SO_LINGER, &value, sizeof(value)), 0);
    uint64_t start = now_ms();
    std::thread reader([&] {
        usleep(100000);
        while (recv(server, block.data(), block.size(), 0) > 0) continue;
    });
    close(client);
    uint64_t waited = now_ms() - start;
    EXPECT_GE(waited, 90u);
    EXPECT_LT(waited, 9000u);
    reader.join();
    close(server);
}

TEST_F(TcpServer, ClosingTheListenerResetsWhoWaits) {
    int client = connect_client();
    listener.reset();
    pollfd entry{client, POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, 60'000), 1);
    char byte;
    EXPECT_EQ(recv(client, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET);
    close(client);
}

}  // namespace
