// IPv6 packets that come in, and their extension headers (RFC 8200).
#include <linux/icmpv6.h>

#include "libposix/net/counters.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/reassembly.h"

namespace coracle::net {

namespace {

// More than any honest sender uses (RFC 8504, 5.3).
constexpr int kMaxExtensions = 8;
constexpr uint8_t kOptionPad1 = 0, kOptionPadN = 1, kOptionRouterAlert = 5;

class ExtensionWalk {
  public:
    ExtensionWalk(BufferPtr packet, IpInput& how) : packet_(std::move(packet)), how_(how) {}

    // Consumes the extension headers. Null: the packet is dropped, or waits for its other
    // fragments.
    BufferPtr run() {
        for (int count = 0; ipv6::is_extension(how_.protocol); count++) {
            if (count == kMaxExtensions || !step()) return nullptr;
        }
        if (how_.protocol == IPPROTO_NONE) return nullptr;
        return std::move(packet_);
    }

  private:
    bool step() {
        if (!make_contiguous(packet_, 8)) return malformed();
        const uint8_t* header = packet_->data();
        uint8_t next = header[0];
        if (how_.protocol == IPPROTO_FRAGMENT) return fragment(next);
        size_t size = (header[1] + size_t{1}) * 8;
        if (!make_contiguous(packet_, size)) return malformed();
        header = packet_->data();
        if (how_.protocol == IPPROTO_ROUTING) {
            // RFC 8200, 4.4: an unknown type is harmless only when no segments are left; type 0 is
            // always refused then (RFC 5095).
            if (header[3] != 0) return problem(ICMPV6_HDR_FIELD, offset() + 2);
        } else if (!options(header, size)) {
            return false;
        }
        consume(size, next);
        return true;
    }

    // RFC 8200, 4.2: the two high bits of an unknown option say what to do.
    bool options(const uint8_t* header, size_t size) {
        for (size_t at = 2; at < size;) {
            uint8_t type = header[at];
            if (type == kOptionPad1) {
                at++;
                continue;
            }
            if (at + 2 > size || at + 2 + header[at + 1] > size) return malformed();
            if (type != kOptionPadN && type != kOptionRouterAlert && type >> 6 != 0) {
                bool tell = type >> 6 == 2 || (type >> 6 == 3 && !how_.destination.is_multicast());
                if (!tell) return malformed();
                return problem(ICMPV6_UNK_OPTION, offset() + static_cast<uint32_t>(at));
            }
            at += size_t{2} + header[at + 1];
        }
        return true;
    }

    bool fragment(uint8_t next) {
        const uint8_t* header = packet_->data();
        uint16_t place = read_be16(header + 2);
        FragmentInfo info{.identification = read_be32(header + 4),
                          .offset = place & 0xfff8u,
                          .has_more = (place & 1) != 0};
        size_t payload = packet_->chain_length() - ipv6::kFragmentHeaderSize;
        if (info.has_more && payload % 8 != 0) return problem(ICMPV6_HDR_FIELD, 4);
        consume(ipv6::kFragmentHeaderSize, next);
        // A fragment that is all of it (RFC 6946) waits for nobody.
        if (info.offset == 0 && !info.has_more) return true;
        packet_ = reassemble(std::move(packet_), how_, info);
        return static_cast<bool>(packet_);
    }

    void consume(size_t size, uint8_t next) {
        packet_->pull(size);
        how_.header_length += static_cast<uint32_t>(size);
        how_.protocol = next;
    }
    uint32_t offset() const { return how_.header_length; }

    bool malformed() {
        ip_counters(false).in_header_errors++;
        return false;
    }
    bool problem(uint8_t code, uint32_t pointer) {
        ip_counters(false).in_header_errors++;
        send_icmp_error(std::move(packet_), how_, ICMPV6_PARAMPROB, code, pointer);
        return false;
    }

    BufferPtr packet_;
    IpInput& how_;
};

}  // namespace

void ipv6_input(BufferPtr packet, Interface& interface) {
    IpCounters& counted = ip_counters(false);
    counted.in_receives++;
    if (!make_contiguous(packet, ipv6::kHeaderSize) || packet->data()[0] >> 4 != 6) {
        counted.in_header_errors++;
        return;
    }
    const uint8_t* header = packet->data();
    size_t payload = read_be16(header + ipv6::kPayloadLength);
    IpInput how{.source = IpAddress::from_v6_bytes(header + ipv6::kSource),
                .destination = IpAddress::from_v6_bytes(header + ipv6::kDestination),
                .interface = &interface,
                .header_length = ipv6::kHeaderSize,
                .protocol = header[ipv6::kNextHeader],
                .hop_limit = header[ipv6::kHopLimit],
                .traffic_class = static_cast<uint8_t>(header[0] << 4 | header[1] >> 4),
                .is_broadcast = false};
    size_t available = packet->chain_length() - ipv6::kHeaderSize;
    if (packet->info.segment_size == 0) {
        if (payload > available) {
            counted.in_truncated++;
            return;
        }
        trim_packet(*packet, ipv6::kHeaderSize + payload);
    }
    counted.in_octets += ipv6::kHeaderSize + payload;
    // RFC 4291, 2.5.3 and 2.7; mapped addresses never are on the wire (RFC 4942, 2.2).
    bool martian =
        how.source.is_multicast() || how.source.is_v4() || how.destination.is_v4() ||
        (!interface.is_loopback() && (how.source.is_loopback() || how.destination.is_loopback()));
    if (martian || !is_for_us(how.destination, interface, &how.is_broadcast)) {
        counted.in_address_errors++;
        return;
    }
    if (how.is_broadcast) counted.in_multicast++;
    packet->pull(ipv6::kHeaderSize);
    packet->info.network_offset = 0;
    packet = ExtensionWalk(std::move(packet), how).run();
    if (packet) deliver_packet(std::move(packet), how);
}

}  // namespace coracle::net
