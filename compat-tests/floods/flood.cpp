// Floods a machine with frames that no good peer would send.
//     flood KIND INTERFACE MAC ADDRESS PORT SECONDS FRAMES_A_SECOND
// Kinds: syn (each from another address), ack (of no connection), fragment (of packets that never
// become whole), overlap (fragments that contradict each other), udp (to ports without a socket),
// arp and neighbor (of machines that do not exist), options (of IP, TCP and IPv6 at random), noise.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>

namespace {

uint32_t chance() {
    static std::mt19937 generator(1);
    return static_cast<uint32_t>(generator());
}

std::string be16(uint32_t value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
}
std::string be32(uint32_t value) {
    return be16(value >> 16) + be16(value);
}
std::string noise(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(chance());
    return bytes;
}

uint16_t sum_of(std::string bytes, uint32_t sum = 0) {
    if (bytes.size() % 2) bytes += '\0';
    for (size_t i = 0; i < bytes.size(); i += 2) {
        sum += static_cast<uint32_t>(static_cast<uint8_t>(bytes[i]) << 8 |
                                     static_cast<uint8_t>(bytes[i + 1]));
    }
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

// 198.18.0.0/15 is for tests like this one (RFC 2544).
uint32_t stranger() {
    return 0xc6120000 + chance() % 0x20000;
}

struct Target {
    std::string mac;
    uint32_t address;
    uint16_t port;
};

std::string ethernet(const Target& target, uint16_t type, const std::string& packet) {
    return target.mac + "\x52\x54" + noise(4) + be16(type) + packet;
}

std::string ipv4(const Target& target, uint32_t from, uint8_t protocol, const std::string& payload,
                 uint32_t fragment = 0, uint32_t identification = 0,
                 const std::string& options = "") {
    auto words = static_cast<uint32_t>(5 + options.size() / 4);
    std::string header =
        be16(0x4000 | words << 8) + be16(static_cast<uint32_t>(payload.size()) + words * 4) +
        be16(identification) + be16(fragment) + be16(static_cast<uint32_t>(64 << 8 | protocol)) +
        be16(0) + be32(from) + be32(target.address) + options;
    header.replace(10, 2, be16(sum_of(header)));
    return ethernet(target, ETHERTYPE_IP, header + payload);
}

std::string tcp(const Target& target, uint8_t flags, const std::string& options = "") {
    uint32_t from = stranger();
    auto size = static_cast<uint32_t>(20 + options.size());
    std::string segment = be16(1024 + chance() % 60000) + be16(target.port) + be32(chance()) +
                          be32(chance()) + be16((size / 4) << 12 | flags) + be16(65535) + be16(0) +
                          be16(0) + options;
    std::string pseudo = be32(from) + be32(target.address) + be16(6) + be16(size);
    segment.replace(16, 2, be16(sum_of(pseudo + segment)));
    return ipv4(target, from, 6, segment);
}

std::string ipv6(const Target& target, uint8_t next, const std::string& payload) {
    std::string all_nodes = be32(0xff020000) + be32(0) + be32(0) + be32(1);
    std::string from = be32(0xfe800000) + be32(0) + noise(8);
    if (next == 58) {
        std::string pseudo =
            from + all_nodes + be32(static_cast<uint32_t>(payload.size())) + be32(58);
        std::string summed = payload;
        summed.replace(2, 2, be16(0));
        summed.replace(2, 2, be16(sum_of(pseudo + summed)));
        return ethernet(target, ETHERTYPE_IPV6,
                        be32(0x60000000) + be16(static_cast<uint32_t>(payload.size())) +
                            be16(static_cast<uint32_t>(next << 8 | 255)) + from + all_nodes +
                            summed);
    }
    return ethernet(target, ETHERTYPE_IPV6,
                    be32(0x60000000) + be16(static_cast<uint32_t>(payload.size())) +
                        be16(static_cast<uint32_t>(next << 8 | 255)) + from + all_nodes + payload);
}

std::string make_syn(const Target& target) {
    return tcp(target, 2, be32(0x020405b4) + be32(0x01030307));
}
std::string make_ack(const Target& target) {
    return tcp(target, 16);
}
std::string make_fragment(const Target& target) {
    constexpr uint32_t kMore = 0x2000;
    return ipv4(target, stranger(), 17, noise(1400), kMore | (chance() % 4 * 175), chance());
}
std::string make_overlap(const Target& target) {
    constexpr uint32_t kMore = 0x2000;
    uint32_t place = chance() % 200;
    return ipv4(target, 0xc6120001, 17, noise(8 + chance() % 100 * 8),
                place | (chance() % 8 ? kMore : 0), chance() % 16);
}
std::string make_udp(const Target& target) {
    return ipv4(target, stranger(), 17,
                be16(chance()) + be16(20000 + chance() % 10000) + be16(108) + be16(0) + noise(100));
}
std::string make_arp(const Target& target) {
    uint32_t network = target.address & 0xffffff00;
    return ethernet(target, ETHERTYPE_ARP,
                    be32(0x00010800) + be32(0x06040001 + chance() % 2) + "\x52\x54" + noise(4) +
                        be32(network | (3 + chance() % 250)) + noise(6) + be32(target.address));
}
std::string make_neighbor(const Target& target) {
    uint32_t type = 133 + chance() % 5;
    return ipv6(target, 58, be32(type << 24) + noise(4 + 16) + be16(0x0101) + noise(6));
}
std::string make_options(const Target& target) {
    switch (chance() % 3) {
        case 0:
            return ipv4(target, stranger(), static_cast<uint8_t>(chance()), noise(40), 0, chance(),
                        noise(4 + chance() % 10 * 4));
        case 1:
            return tcp(target, static_cast<uint8_t>(chance()), noise(chance() % 11 * 4));
        default: {
            static constexpr uint8_t kHeaders[] = {0, 43, 44, 60};
            std::string chain;
            for (unsigned i = chance() % 5; i > 0; i--) {
                chain += static_cast<char>(kHeaders[chance() % 4]) + noise(7);
            }
            return ipv6(target, kHeaders[chance() % 4], chain + noise(chance() % 64));
        }
    }
}
std::string make_noise(const Target& target) {
    static constexpr uint16_t kTypes[] = {ETHERTYPE_IP, ETHERTYPE_IPV6, ETHERTYPE_ARP};
    return ethernet(target, kTypes[chance() % 3], noise(1 + chance() % 200));
}

const std::map<std::string, std::string (*)(const Target&)> kMakers = {
    {"syn", make_syn},           {"ack", make_ack},         {"fragment", make_fragment},
    {"overlap", make_overlap},   {"udp", make_udp},         {"arp", make_arp},
    {"neighbor", make_neighbor}, {"options", make_options}, {"noise", make_noise}};

}  // namespace

int main(int count, char** arguments) {
    if (count != 8 || !kMakers.count(arguments[1])) {
        fprintf(stderr, "usage: flood KIND INTERFACE MAC ADDRESS PORT SECONDS FRAMES_A_SECOND\n");
        return 2;
    }
    auto make = kMakers.at(arguments[1]);
    Target target;
    for (int i = 0; i < 6; i++) {
        target.mac += static_cast<char>(strtoul(arguments[3] + 3 * i, nullptr, 16));
    }
    in_addr address;
    inet_pton(AF_INET, arguments[4], &address);
    target.address = ntohl(address.s_addr);
    target.port = static_cast<uint16_t>(atoi(arguments[5]));
    sockaddr_ll to = {};
    to.sll_family = AF_PACKET;
    to.sll_ifindex = static_cast<int>(if_nametoindex(arguments[2]));
    int out = socket(AF_PACKET, SOCK_RAW, 0);
    if (out < 0 || bind(out, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) {
        perror(arguments[2]);
        return 1;
    }
    using Clock = std::chrono::steady_clock;
    auto start = Clock::now();
    double seconds = atof(arguments[6]), rate = atof(arguments[7]);
    unsigned long sent = 0;
    for (;;) {
        double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
        if (elapsed >= seconds) break;
        for (; static_cast<double>(sent) < elapsed * rate; sent++) {
            std::string frame = make(target);
            // A full queue drops, as on any wire.
            (void)!write(out, frame.data(), frame.size());
        }
        usleep(1000);
    }
    printf("%lu\n", sent);
}
