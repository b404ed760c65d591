// The whole stack below the transports on the host: a loopback interface, an Ethernet whose frames
// the test sees, a protocol that keeps what comes in, and a clock that the test moves.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/multicast.h"
#include "libposix/net/ip/reassembly.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/link/loopback.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/network.h"

namespace coracle::net {

extern uint64_t test_clock_ns;
void advance_clock(uint64_t nanoseconds);

using Bytes = std::vector<uint8_t>;

inline Bytes operator+(Bytes a, const Bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}
inline Bytes be16(uint16_t value) {
    return {uint8_t(value >> 8), uint8_t(value)};
}
inline Bytes be32(uint32_t value) {
    return be16(value >> 16) + be16(value & 0xffff);
}
inline Bytes pattern(size_t size, uint8_t start = 0) {
    Bytes bytes(size);
    for (size_t i = 0; i < size; i++) bytes[i] = static_cast<uint8_t>(start + i * 7);
    return bytes;
}
inline Bytes slice(const Bytes& from, size_t at, size_t size) {
    return Bytes(from.data() + at, from.data() + std::min(from.size(), at + size));
}
inline Bytes contents(const Buffer& packet) {
    Bytes bytes(packet.chain_length());
    packet.copy_out(0, bytes.data(), bytes.size());
    return bytes;
}

constexpr MacAddress kOurMac = {{0x52, 0x54, 0, 0x12, 0x34, 0x56}};
constexpr MacAddress kPeerMac = {{0x52, 0x55, 10, 0, 2, 2}};
constexpr uint8_t kTestProtocol = 253;  // RFC 3692

class TestEthernet final : public EthernetInterface {
  public:
    TestEthernet() : EthernetInterface("eth0", 1500) {
        flags |= IFF_UP | IFF_RUNNING;
        mac = kOurMac;
    }
    ~TestEthernet() = default;
    void transmit(BufferPtr frame) override { sent.push_back(contents(*frame)); }
    std::deque<Bytes> sent;
};

class StackTest : public testing::Test {
  protected:
    StackTest();
    ~StackTest() override;

    // A frame from the peer.
    void receive(const Bytes& frame, ChecksumState checksum = ChecksumState::kUnknown);
    void receive_ipv4(const Bytes& packet) { receive(from_peer(0x0800) + packet); }
    void receive_ipv6(const Bytes& packet) { receive(from_peer(0x86dd) + packet); }
    static Bytes from_peer(uint16_t type, const MacAddress& to = kOurMac);
    // Whole packets, checksum and all.
    static Bytes ipv4(const IpAddress& source, const IpAddress& destination, uint8_t protocol,
                      const Bytes& payload, uint16_t fragment = 0, uint16_t identification = 1,
                      const Bytes& options = {});
    static Bytes ipv6(const IpAddress& source, const IpAddress& destination, uint8_t next_header,
                      const Bytes& payload, uint8_t hops = 64);
    static Bytes icmpv6(const IpAddress& source, const IpAddress& destination, Bytes message,
                        uint8_t hops = 64);
    static Bytes icmp(Bytes message);
    // The oldest frame that was sent, without its Ethernet header; empty: none.
    Bytes take_sent(uint16_t* type = nullptr, MacAddress* to = nullptr);
    // Makes the peer's link address known.
    void introduce_peer();
    IpAddress broadcast_address() const { return IpAddress::v4(10, 0, 2, 255); }
    Result<void> send(const IpAddress& to, const Bytes& payload, IpOutput how = {});

    struct Received {
        Bytes payload;
        IpInput how;
    };
    static inline std::deque<Received> received;
    static inline std::deque<IcmpError> errors;

    LoopbackInterface lo;
    TestEthernet eth;
    const IpAddress ours = IpAddress::v4(10, 0, 2, 15), peer = IpAddress::v4(10, 0, 2, 2);
    const IpAddress far = IpAddress::v4(192, 0, 2, 1);
    IpAddress ours6, peer6;
};

}  // namespace coracle::net
