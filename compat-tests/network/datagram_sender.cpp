// Sends numbered datagrams to a group by eth0, whose device takes nothing at first. Until that is
// full nothing may be lost; then sends that must not wait are EAGAIN, poll(2) waits, and so does a
// send. Says "full", and goes on when the device does, until that has everything.
//     datagram_sender udp|pieces|packet DATAGRAMS
// pieces: UDP datagrams that are put together from more pieces than the device takes at once, by
// MSG_MORE and by UDP_CORK.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

namespace {

constexpr uint32_t kMost = 100'000;  // that a device can hold
constexpr size_t kPiece = 40;        // bytes
constexpr int kPatienceMs = 2'000;   // with one that seems to be full

struct Message {
    unsigned char ethernet[14] = {1, 0, 0x5e, 1, 2, 3, 2, 0, 0, 0, 0, 1, 0x88, 0xb5};
    uint32_t number = 0;
    char rest[1300] = {};
} __attribute__((packed));

void require(bool holds, const char* what) {
    if (holds) return;
    perror(what);
    exit(1);
}

class Sender {
  public:
    Sender(bool is_udp, bool in_pieces) : is_udp_(is_udp), in_pieces_(in_pieces) {
        fd_ = is_udp ? socket(AF_INET, SOCK_DGRAM, 0) : socket(AF_PACKET, SOCK_RAW, 0);
        const unsigned index = if_nametoindex("eth0");
        require(fd_ >= 0 && index, "socket");
        if (is_udp) {
            sockaddr_in group{};
            group.sin_family = AF_INET;
            group.sin_port = htons(9);
            inet_pton(AF_INET, "239.1.2.3", &group.sin_addr);
            ip_mreqn by{{}, {}, static_cast<int>(index)};
            int off = 0;
            require(!setsockopt(fd_, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by) &&
                        !setsockopt(fd_, IPPROTO_IP, IP_MULTICAST_LOOP, &off, sizeof off) &&
                        !connect(fd_, reinterpret_cast<sockaddr*>(&group), sizeof group),
                    "connect");
        } else {
            sockaddr_ll place{};
            place.sll_family = AF_PACKET;
            place.sll_ifindex = static_cast<int>(index);
            require(!bind(fd_, reinterpret_cast<sockaddr*>(&place), sizeof place), "bind");
        }
        // More than the device takes at once has to wait.
        const int size = 5 << 20;
        if (in_pieces) {
            require(!setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size), "SO_SNDBUF");
        }
    }
    // False: it would have had to wait.
    bool send(int flags) {
        const size_t skipped = is_udp_ ? sizeof(message_.ethernet) : 0;
        const size_t size = sizeof(message_) - skipped;
        const size_t most = in_pieces_ ? kPiece : size;
        const bool is_corked = in_pieces_ && message_.number % 2;
        if (is_corked) cork(true);
        for (size_t at = 0; at < size; at += most) {
            const size_t piece = std::min(most, size - at);
            const int more = at + piece < size && !is_corked ? MSG_MORE : 0;
            ssize_t sent =
                ::send(fd_, reinterpret_cast<char*>(&message_) + skipped + at, piece, flags | more);
            if (sent < 0 && errno == EAGAIN && at == 0) return false;
            require(sent == static_cast<ssize_t>(piece), "send");
        }
        if (is_corked) cork(false);
        message_.number++;
        return true;
    }
    uint32_t count() const { return message_.number; }
    bool is_writable(int timeout_ms) {
        pollfd item{fd_, POLLOUT, 0};
        int ready = poll(&item, 1, timeout_ms);
        require(ready >= 0, "poll");
        return ready == 1 && item.revents == POLLOUT;
    }
    int queued() {
        int size = 0;
        require(!ioctl(fd_, SIOCOUTQ, &size), "SIOCOUTQ");
        return size;
    }
    int limit() {
        int size = 0;
        socklen_t length = sizeof size;
        require(!getsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, &length), "SO_SNDBUF");
        return size;
    }

  private:
    void cork(int on) {
        require(!setsockopt(fd_, IPPROTO_UDP, UDP_CORK, &on, sizeof on), "UDP_CORK");
    }

    bool is_udp_, in_pieces_;
    int fd_;
    Message message_;
};

}  // namespace

int main(int, char** arguments) {
    const uint32_t wanted = static_cast<uint32_t>(atoi(arguments[2]));
    const std::string_view kind = arguments[1];
    Sender sender(kind != "packet", kind == "pieces");
    if (!sender.is_writable(0)) return puts("not writable at first"), 1;
    do {
        while (sender.send(MSG_DONTWAIT)) {
            if (sender.count() == kMost) return puts("the device is never full"), 1;
        }
    } while (sender.is_writable(kPatienceMs));
    if (sender.queued() < sender.limit() / 2) return puts("less is queued than may be"), 1;
    printf("full\n");
    fflush(stdout);
    if (!sender.is_writable(-1)) return puts("not writable when it was woken"), 1;
    if (sender.queued() > sender.limit() / 2) return puts("woken too early"), 1;
    for (uint32_t i = 0; i < wanted; i++) sender.send(0);
    while (sender.queued()) usleep(1'000);
    printf("sent %u\n", sender.count());
}
