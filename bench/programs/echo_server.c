// Sends back what comes, by TCP and UDP. Usage: echo_server PORT
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int poller;

static void watch(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) perror("epoll_ctl");
}

static int bound_socket(int type, int port) {
    const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    const int one = 1;
    const int fd = socket(AF_INET, type, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (const struct sockaddr*)&address, sizeof(address))) {
        perror("bind");
        exit(1);
    }
    return fd;
}

static void take_connection(int listener) {
    const int one = 1;
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    watch(fd);
}

static void answer_datagram(int fd) {
    char data[2048];
    struct sockaddr_in from;
    socklen_t length = sizeof(from);
    const ssize_t size = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr*)&from, &length);
    if (size >= 0) sendto(fd, data, size, 0, (const struct sockaddr*)&from, length);
}

static void answer_stream(int fd) {
    char data[4096];
    const ssize_t size = read(fd, data, sizeof(data));
    if (size <= 0 || write(fd, data, size) != size) close(fd);
}

int main(int argc, char** argv) {
    const int port = argc > 1 ? atoi(argv[1]) : 7;
    poller = epoll_create1(0);
    const int listener = bound_socket(SOCK_STREAM, port);
    const int datagrams = bound_socket(SOCK_DGRAM, port);
    if (listen(listener, 128)) return 1;
    watch(listener);
    watch(datagrams);
    for (;;) {
        struct epoll_event events[64];
        const int count = epoll_wait(poller, events, 64, -1);
        for (int i = 0; i < count; i++) {
            const int fd = events[i].data.fd;
            if (fd == listener) {
                take_connection(fd);
            } else if (fd == datagrams) {
                answer_datagram(fd);
            } else {
                answer_stream(fd);
            }
        }
    }
}
