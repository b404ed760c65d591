// A server of several threads whose connections move between them: every thread waits in an epoll of
// its own, and whole messages are answered one after the other. A message is a letter, the length of
// its payload in three bytes, and the payload; the answer is:
//   E  the payload
//   M  the payload, after which the connection belongs to the next thread
//   B  the payload, from a thread that waits in recv(2) meanwhile
//   P  the payload, after poll(2) and select-like waits of another thread on the same connection
//   Z  as many bytes as the payload's first four bytes say
// Each thread has a UDP socket, too, and sends datagrams back; the threads share its port.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

struct Message {
    char kind;
    std::vector<char> payload;
};

void require(bool holds, const char* what) {
    if (holds) return;
    perror(what);
    exit(1);
}

bool receive_all(int connection, void* to, size_t size) {
    return size == 0 || recv(connection, to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
}

// False at the end of the connection.
bool receive_message(int connection, Message& message) {
    unsigned char header[4];
    if (!receive_all(connection, header, sizeof(header))) return false;
    message.kind = static_cast<char>(header[0]);
    message.payload.resize(header[1] << 16 | header[2] << 8 | header[3]);
    return receive_all(connection, message.payload.data(), message.payload.size());
}

void send_all(int connection, const char* from, size_t size) {
    while (size > 0) {
        const ssize_t sent = send(connection, from, size, MSG_NOSIGNAL);
        if (sent < 0) return;  // the client is gone: the next receive tells
        from += sent;
        size -= static_cast<size_t>(sent);
    }
}

void send_pattern(int connection, const Message& message) {
    uint32_t size = 0;
    memcpy(&size, message.payload.data(), sizeof(size));
    std::vector<char> pattern(size);
    for (uint32_t i = 0; i < size; i++) pattern[i] = static_cast<char>(i * 7 % 251);
    send_all(connection, pattern.data(), size);
}

int listen_at_port(int type) {
    const int server = socket(AF_INET, type, 0);
    const int on = 1;
    require(setsockopt(server, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0, "SO_REUSEPORT");
    const sockaddr_in address = {.sin_family = AF_INET,
                                 .sin_port = htons(7000),
                                 .sin_addr = {.s_addr = INADDR_ANY},
                                 .sin_zero = {}};
    require(bind(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
            "bind");
    return server;
}

void answer_datagram(int datagrams) {
    char data[2048];
    sockaddr_in from;
    socklen_t length = sizeof(from);
    auto* address = reinterpret_cast<sockaddr*>(&from);
    const ssize_t size = recvfrom(datagrams, data, sizeof(data), MSG_DONTWAIT, address, &length);
    if (size > 0) sendto(datagrams, data, static_cast<size_t>(size), 0, address, length);
}

class Worker {
  public:
    Worker() : epoll_(epoll_create1(0)), datagrams_(listen_at_port(SOCK_DGRAM)) {
        require(epoll_ >= 0, "epoll_create1");
        watch(datagrams_);
    }

    void watch(int connection) {
        epoll_event event = {.events = EPOLLIN, .data = {.fd = connection}};
        require(epoll_ctl(epoll_, EPOLL_CTL_ADD, connection, &event) == 0, "epoll_ctl");
    }

    [[noreturn]] void run(Worker& next) {
        for (;;) {
            epoll_event events[16];
            const int count = epoll_wait(epoll_, events, 16, -1);
            for (int i = 0; i < count; i++) {
                const int ready = events[i].data.fd;
                ready == datagrams_ ? answer_datagram(ready) : serve(ready, next);
            }
        }
    }

  private:
    void release(int connection) {
        require(epoll_ctl(epoll_, EPOLL_CTL_DEL, connection, nullptr) == 0, "epoll_ctl");
    }

    void serve(int connection, Worker& next) {
        Message message;
        if (!receive_message(connection, message)) {
            close(connection);
            return;
        }
        const char* payload = message.payload.data();
        const size_t size = message.payload.size();
        switch (message.kind) {
            case 'M':
                release(connection);
                send_all(connection, payload, size);
                return next.watch(connection);
            case 'B':
                release(connection);
                return std::thread([this, connection, message] {
                    send_all(connection, message.payload.data(), message.payload.size());
                    Message following;
                    if (!receive_message(connection, following)) {
                        close(connection);
                        return;
                    }
                    send_all(connection, following.payload.data(), following.payload.size());
                    watch(connection);
                }).detach();
            case 'P': {
                std::thread watcher([connection] {
                    pollfd polled = {connection, POLLOUT, 0};
                    poll(&polled, 1, -1);
                });
                send_all(connection, payload, size);
                return watcher.join();
            }
            case 'Z':
                return send_pattern(connection, message);
            default:
                return send_all(connection, payload, size);
        }
    }

    const int epoll_, datagrams_;
};

}  // namespace

int main(int count, char** arguments) {
    const auto threads = static_cast<unsigned>(count > 1 ? atoi(arguments[1]) : 4);
    std::vector<Worker> workers(threads);
    for (unsigned i = 0; i < threads; i++) {
        std::thread([&, i] { workers[i].run(workers[(i + 1) % threads]); }).detach();
    }
    const int listener = listen_at_port(SOCK_STREAM);
    require(listen(listener, 100) == 0, "listen");
    puts("listening");
    fflush(stdout);
    for (unsigned next = 0;; next++) {
        const int connection = accept(listener, nullptr, nullptr);
        require(connection >= 0, "accept");
        const int on = 1;
        setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        workers[next % threads].watch(connection);
    }
}
