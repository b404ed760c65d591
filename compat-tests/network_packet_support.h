// What the tests of packet sockets share: frames of a protocol of our own over the loopback
// interface.
#pragma once

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if_arp.h>

#include "sockets_support.h"

constexpr uint16_t kOurProtocol = 0x88b5;  // for experiments (IEEE 802)
constexpr int kPatienceMs = 60'000;

inline sockaddr_ll link_address(uint16_t protocol, int index = 1) {
    sockaddr_ll address = {};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(protocol);
    address.sll_ifindex = index;
    return address;
}

// A packet socket on lo.
inline Descriptor open_bound(int type, uint16_t protocol) {
    Descriptor fd(socket(AF_PACKET, type, 0));
    const sockaddr_ll address = link_address(protocol);
    EXPECT_OK(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
    return fd;
}

inline std::string frame_of(uint16_t protocol, const std::string& payload) {
    std::string frame(14, '\0');
    frame[12] = static_cast<char>(protocol >> 8);
    frame[13] = static_cast<char>(protocol);
    return frame + payload;
}

inline void send_frame(int fd, const std::string& frame) {
    EXPECT_EQ(send(fd, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
}

// False: nothing came in time.
inline bool wait_readable(int fd, int patience_ms = kPatienceMs) {
    pollfd entry = {fd, POLLIN, 0};
    return poll(&entry, 1, patience_ms) == 1 && (entry.revents & POLLIN);
}

class PacketTest : public SocketsTest {
  protected:
    void SetUp() override {
        SocketsTest::SetUp();
        Descriptor probe(socket(AF_PACKET, SOCK_RAW, 0));
        if (probe < 0) GTEST_SKIP() << "packet sockets need CAP_NET_RAW";
    }
};
