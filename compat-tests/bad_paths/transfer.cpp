// Moves bytes over TCP and checks each of them: one program for both ends, on Linux and in a VM.
//     transfer serve PORT [MTU]
//     transfer push|pull ADDRESS PORT BYTES COUNT [MTU]
//     transfer report ADDRESS PORT
// A client pushes to the server or pulls from it, COUNT times with a connection each, and prints a
// line when one begins and another when the receiver has said that every byte was right: who reads
// them takes the time, for the clock of a VM on a busy machine is no witness. MTU sets that of eth0
// first. A report is the server's /proc/meminfo and /proc/net/netstat.
#include <arpa/inet.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr size_t kChunk = 128 * 1024;

[[noreturn]] void give_up(const char* what) {
    perror(what);
    exit(1);
}

enum Kind : uint64_t { kPull, kPush, kReport };

struct Request {
    uint64_t bytes;
    Kind kind;
};

// What stands at an offset, eight bytes at a time.
uint64_t pattern(uint64_t word) {
    word *= 0x9e3779b97f4a7c15;
    return word ^ word >> 29;
}

void send_all(int socket, const void* data, size_t size) {
    auto* at = static_cast<const char*>(data);
    while (size > 0) {
        ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
        if (sent < 0) give_up("send");
        at += sent;
        size -= static_cast<size_t>(sent);
    }
}

void receive_all(int socket, void* data, size_t size) {
    auto* at = static_cast<char*>(data);
    while (size > 0) {
        ssize_t received = recv(socket, at, size, 0);
        if (received < 0) give_up("recv");
        if (received == 0) {
            fprintf(stderr, "transfer: the peer has gone\n");
            exit(1);
        }
        at += received;
        size -= static_cast<size_t>(received);
    }
}

void send_pattern(int socket, uint64_t bytes) {
    static uint64_t words[kChunk / 8];
    for (uint64_t at = 0; at < bytes; at += kChunk) {
        for (size_t i = 0; i < kChunk / 8; i++) words[i] = pattern(at / 8 + i);
        send_all(socket, words, std::min<uint64_t>(kChunk, bytes - at));
    }
    char verdict;
    receive_all(socket, &verdict, 1);
    if (verdict != 'y') {
        fprintf(stderr, "transfer: the receiver saw a wrong byte\n");
        exit(1);
    }
}

void receive_pattern(int socket, uint64_t bytes) {
    static uint64_t words[kChunk / 8], expected[kChunk / 8];
    bool is_right = true;
    for (uint64_t at = 0; at < bytes; at += kChunk) {
        size_t size = std::min<uint64_t>(kChunk, bytes - at);
        receive_all(socket, words, size);
        for (size_t i = 0; i < kChunk / 8; i++) expected[i] = pattern(at / 8 + i);
        is_right &= memcmp(words, expected, size) == 0;
    }
    send_all(socket, is_right ? "y" : "n", 1);
    if (!is_right) {
        fprintf(stderr, "transfer: a wrong byte\n");
        exit(1);
    }
}

void send_file(int socket, const char* name) {
    FILE* file = fopen(name, "r");
    if (!file) give_up(name);
    char bytes[8192];
    while (size_t size = fread(bytes, 1, sizeof bytes, file)) send_all(socket, bytes, size);
    fclose(file);
}

int make_socket() {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    if (made < 0) give_up("socket");
    if (setsockopt(made, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5) < 0) give_up("TCP_CONGESTION");
    return made;
}

sockaddr_in address_of(const char* host, const char* port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(atoi(port)));
    inet_pton(AF_INET, host, &address.sin_addr);
    return address;
}

void set_mtu(const char* mtu) {
    int control = socket(AF_INET, SOCK_DGRAM, 0);
    ifreq request = {};
    strcpy(request.ifr_name, "eth0");
    request.ifr_mtu = atoi(mtu);
    if (ioctl(control, SIOCSIFMTU, &request) < 0) give_up("SIOCSIFMTU");
    close(control);
}

void serve(const char* port) {
    int listener = make_socket();
    int one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address = address_of("0.0.0.0", port);
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) give_up("bind");
    if (listen(listener, 16) < 0) give_up("listen");
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int connection = accept(listener, nullptr, nullptr);
        if (connection < 0) give_up("accept");
        Request request;
        receive_all(connection, &request, sizeof request);
        switch (request.kind) {
            case kPush:
                receive_pattern(connection, request.bytes);
                break;
            case kPull:
                send_pattern(connection, request.bytes);
                break;
            case kReport:
                send_file(connection, "/proc/meminfo");
                send_file(connection, "/proc/net/netstat");
                break;
        }
        close(connection);
    }
}

void transfer_once(const sockaddr_in& address, const Request& request) {
    int connection = make_socket();
    if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        give_up("connect");
    }
    puts("begin");
    fflush(stdout);
    send_all(connection, &request, sizeof request);
    if (request.kind == kPush) {
        send_pattern(connection, request.bytes);
    } else {
        receive_pattern(connection, request.bytes);
    }
    puts("end");
    fflush(stdout);
    close(connection);
}

}  // namespace

static void print_report(const sockaddr_in& address) {
    int connection = make_socket();
    if (connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        give_up("connect");
    }
    Request request{0, kReport};
    send_all(connection, &request, sizeof request);
    char bytes[8192];
    for (ssize_t size; (size = recv(connection, bytes, sizeof bytes, 0)) > 0;) {
        fwrite(bytes, 1, static_cast<size_t>(size), stdout);
    }
    close(connection);
}

int main(int count, char** arguments) {
    if (count >= 3 && strcmp(arguments[1], "serve") == 0) {
        if (count > 3) set_mtu(arguments[3]);
        serve(arguments[2]);
        return 0;
    }
    if (count == 4 && strcmp(arguments[1], "report") == 0) {
        print_report(address_of(arguments[2], arguments[3]));
        return 0;
    }
    if (count < 6) {
        fprintf(stderr,
                "usage: transfer serve PORT [MTU]\n"
                "       transfer push|pull ADDRESS PORT BYTES COUNT [MTU]\n"
                "       transfer report ADDRESS PORT\n");
        return 2;
    }
    if (count > 6) set_mtu(arguments[6]);
    sockaddr_in address = address_of(arguments[2], arguments[3]);
    Request request{strtoull(arguments[4], nullptr, 10),
                    strcmp(arguments[1], "push") == 0 ? kPush : kPull};
    for (int i = 0; i < atoi(arguments[5]); i++) transfer_once(address, request);
}
