// Frames from a hostile network, against the stack below the transports: libFuzzer's entry.
// The input is a sequence of frames: a length of two bytes, a byte that says what kind of frame it
// is to be, and its bytes. Chance does not find addresses, checksums and chains of headers, so a
// kind gives the frame those that get it past the first tests.
#include <netinet/in.h>

#include <memory>

#include "libposix/net/dhcp_client.h"
#include "libposix/net/gro.h"
#include "libposix/net/tests/stack_test.h"

namespace coracle::net {
namespace {

class QuietEthernet final : public EthernetInterface {
  public:
    QuietEthernet() : EthernetInterface("eth0", 1500) {
        flags |= IFF_UP | IFF_RUNNING;
        mac = kOurMac;
    }
    void transmit(BufferPtr frame) override {
        // What the DHCP client asked with is what an answer has to say.
        uint8_t identifier[4];
        constexpr size_t kPort = 14 + 20 + 2, kIdentifier = 14 + 20 + 8 + 4;
        uint8_t port[2];
        if (frame->copy_out(kPort, port, 2) && read_be16(port) == 67 &&
            frame->copy_out(kIdentifier, identifier, 4)) {
            memcpy(dhcp_identifier, identifier, 4);
        }
    }
    uint8_t dhcp_identifier[4] = {};
};

QuietEthernet& start_stack() {
    static auto& lo = *new LoopbackInterface;
    static auto& eth = *new QuietEthernet;
    start_icmp();
    NetworkScope scope;
    (void)lo.add_address({.address = IpAddress::loopback_v4(), .prefix_length = 8}).ok();
    (void)eth.add_address({.address = IpAddress::v4(10, 0, 2, 15), .prefix_length = 24}).ok();
    start_ipv6(eth);
    start_dhcp(eth);
    register_protocol(IPPROTO_UDP, {[](BufferPtr packet, const IpInput& how) {
                                        (void)dhcp_input(*packet, *how.interface);
                                    },
                                    [](const IcmpError&) {}});
    return eth;
}

// Chance does not find link addresses and checksums, so that nothing would get past them.
void make_acceptable(Buffer& frame) {
    frame.info.checksum = ChecksumState::kVerified;
    if (frame.length() < kEthernetHeaderSize) return;
    uint8_t* bytes = frame.data();
    if (!(bytes[0] & 1)) memcpy(bytes, kOurMac.bytes, sizeof(kOurMac.bytes));
    uint8_t* header = bytes + kEthernetHeaderSize;
    size_t left = frame.length() - kEthernetHeaderSize;
    if (left < ipv4::kHeaderSize || read_be16(bytes + 12) != 0x0800) return;
    size_t size = header[0] % 16 * size_t{4};
    if (size < ipv4::kHeaderSize || size > left) return;
    memset(header + ipv4::kChecksum, 0, 2);
    uint16_t sum = checksum_of(header, size);
    memcpy(header + ipv4::kChecksum, &sum, 2);
}

enum Kind : uint8_t {
    kAsItIs,
    kArp,
    kIpv4,
    kFragment,
    kIcmp,
    kIpv6,
    kExtended,
    kNeighbor,
    kDhcp,
    kKinds
};

uint8_t take(Bytes& from) {
    if (from.empty()) return 0;
    uint8_t byte = from.front();
    from.erase(from.begin());
    return byte;
}

Bytes ipv4_packet(uint8_t protocol, uint16_t fragment, uint8_t choices, const Bytes& payload) {
    static constexpr uint32_t kTo[] = {0x0a00020f, 0x0a0002ff, 0xe0000001, 0xffffffff};
    uint8_t options = choices >> 6;  // words of the payload's first bytes
    Bytes header = Bytes{static_cast<uint8_t>(0x45 + options), 0} +
                   be16(static_cast<uint16_t>(20 + payload.size())) + be16(choices & 3) +
                   be16(fragment) + Bytes{64, protocol} + be16(0) +
                   be32(0x0a000202 + (choices & 4)) + be32(kTo[choices >> 4 & 3]);
    return header + payload;
}

Bytes ipv6_packet(uint8_t next, uint8_t choices, const Bytes& payload) {
    Bytes ours = be32(0xfe800000) + be32(0) + be32(0x505400ff) + be32(0xfe123456);
    Bytes all = be32(0xff020000) + be32(0) + be32(0) + be32(1);
    Bytes solicited = be32(0xff020000) + be32(0) + be32(1) + be32(0xff123456);
    Bytes from = be32(choices & 4 ? 0 : 0xfe800000) + be32(0) + be32(0) + be32(choices & 4 ? 0 : 2);
    return be32(0x60000000) + be16(static_cast<uint16_t>(payload.size())) + Bytes{next, 255} +
           from +
           (choices & 1   ? all
            : choices & 2 ? solicited
                          : ours) +
           payload;
}

// A chain of extension headers (RFC 8200, 4): as many as the first byte says, of all kinds.
Bytes extended(Bytes rest) {
    static constexpr uint8_t kTypes[] = {0, 43, 44, 60};
    uint8_t choices = take(rest), count = choices >> 6;
    Bytes chain;
    uint8_t first = count ? kTypes[choices & 3] : uint8_t{58};
    for (uint8_t i = 0; i < count; i++) {
        choices = take(rest);
        uint8_t next = i + 1 < count ? kTypes[choices & 3] : choices & 4 ? uint8_t{58} : choices;
        chain = chain + Bytes{next, static_cast<uint8_t>(choices >> 5)};
        for (int at = 0; at < 6 + (choices >> 5) * 8; at++) chain.push_back(take(rest));
    }
    return ipv6_packet(first, choices, chain + rest);
}

Bytes make_packet(Kind kind, Bytes rest, const QuietEthernet& eth) {
    switch (kind) {
        case kArp:
            return be16(0x0806) + be16(1) + be16(0x0800) + Bytes{6, 4} + rest;
        case kIpv4: {
            uint8_t protocol = take(rest), choices = take(rest);
            return be16(0x0800) + ipv4_packet(protocol, 0, choices, rest);
        }
        case kFragment: {
            uint8_t place = take(rest), choices = take(rest);
            auto fragment = static_cast<uint16_t>((place & 0x80) << 6 | (place & 0x7f));
            return be16(0x0800) + ipv4_packet(1, fragment, choices, rest);
        }
        case kIcmp: {
            uint8_t choices = take(rest);
            return be16(0x0800) + ipv4_packet(1, 0, choices & 0x3f, rest);
        }
        case kIpv6: {
            uint8_t next = take(rest), choices = take(rest);
            return be16(0x86dd) + ipv6_packet(next, choices, rest);
        }
        case kExtended:
            return be16(0x86dd) + extended(rest);
        case kNeighbor: {
            // Router solicitation to redirect, or a listener query.
            uint8_t choices = take(rest);
            uint8_t type =
                choices & 0x80 ? uint8_t{130} : static_cast<uint8_t>(133 + choices / 8 % 5);
            return be16(0x86dd) + ipv6_packet(58, choices & 7, Bytes{type, 0, 0, 0} + rest);
        }
        case kDhcp: {
            const uint8_t* id = eth.dhcp_identifier;
            Bytes message = Bytes{2, 1, 6, 0, id[0], id[1], id[2], id[3]} + Bytes(8) +
                            be32(0x0a000240) + be32(0x0a000202) + be32(0) +
                            Bytes(kOurMac.bytes, kOurMac.bytes + 6) + Bytes(10 + 64 + 128) +
                            be32(0x63825363) + rest;
            Bytes datagram = be16(67) + be16(68) + be16(static_cast<uint16_t>(8 + message.size())) +
                             be16(0) + message;
            return be16(0x0800) + ipv4_packet(17, 0, 0x30, datagram);
        }
        default:
            return {};
    }
}

Bytes make_frame(Kind kind, const Bytes& rest, const QuietEthernet& eth) {
    if (kind == kAsItIs) return rest;
    return Bytes(kOurMac.bytes, kOurMac.bytes + 6) + Bytes(kPeerMac.bytes, kPeerMac.bytes + 6) +
           make_packet(kind, rest, eth);
}

}  // namespace
}  // namespace coracle::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace coracle::net;
    static QuietEthernet& eth = start_stack();
    static auto& offload = *new ReceiveOffload(eth, ethernet_input);
    while (size >= 3) {
        size_t length = std::min<size_t>(read_be16(data), size - 3);
        auto kind = static_cast<Kind>(data[2] % kKinds);
        Bytes bytes = make_frame(kind, Bytes(data + 3, data + 3 + length), eth);
        data += 3 + length;
        size -= 3 + length;
        {
            NetworkScope scope;
            BufferPtr frame = Buffer::allocate(kFrameBufferCapacity);
            bytes.resize(std::min(bytes.size(), kFrameBufferCapacity));
            if (!bytes.empty()) memcpy(frame->append(bytes.size()), bytes.data(), bytes.size());
            make_acceptable(*frame);
            offload.receive(std::move(frame));
            offload.flush();
        }
        advance_clock(10'000'000);
    }
    return 0;
}
