#include "libposix/net/gro.h"

#include <net/ethernet.h>

#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/link/ethernet.h"

namespace coracle::net {

namespace {

constexpr size_t kTcpHeaderSize = 20;
constexpr size_t kTcpSequence = 4, kTcpAcknowledgment = 8, kTcpDataOffset = 12, kTcpFlags = 13,
                 kTcpWindow = 14;
constexpr uint8_t kPush = 0x08, kAcknowledgment = 0x10;

}  // namespace

// True: a TCP segment with payload and nothing unusual, its checksum good.
bool ReceiveOffload::parse(Buffer& frame, Segment& to) {
    if (frame.next() || frame.info.segment_size != 0) return false;
    const uint8_t* bytes = frame.data();
    size_t length = frame.length();
    if (length < kEthernetHeaderSize + ipv4::kHeaderSize + kTcpHeaderSize) return false;
    uint16_t type = read_be16(bytes + 12);
    const uint8_t* network = bytes + kEthernetHeaderSize;
    size_t network_size, total;
    IpAddress source, destination;
    if (type == ETHERTYPE_IP) {
        network_size = ipv4::kHeaderSize;
        if (network[0] != 0x45 || network[ipv4::kProtocol] != IPPROTO_TCP) return false;
        if (read_be16(network + ipv4::kFragment) & ~ipv4::kDontFragment) return false;
        if (checksum_fold(checksum_add(network, network_size, 0)) != 0xffff) return false;
        frame.info.network_checksum_holds = true;
        total = read_be16(network + ipv4::kTotalLength);
        source = IpAddress::from_v4_bytes(network + ipv4::kSource);
        destination = IpAddress::from_v4_bytes(network + ipv4::kDestination);
    } else if (type == ETHERTYPE_IPV6) {
        network_size = ipv6::kHeaderSize;
        if (length < kEthernetHeaderSize + network_size + kTcpHeaderSize) return false;
        if (network[0] >> 4 != 6 || network[ipv6::kNextHeader] != IPPROTO_TCP) return false;
        total = network_size + read_be16(network + ipv6::kPayloadLength);
        source = IpAddress::from_v6_bytes(network + ipv6::kSource);
        destination = IpAddress::from_v6_bytes(network + ipv6::kDestination);
    } else {
        return false;
    }
    if (kEthernetHeaderSize + total > length) return false;
    const uint8_t* transport = network + network_size;
    if (total < network_size + kTcpHeaderSize) return false;
    size_t transport_size = size_t{transport[kTcpDataOffset]} / 16 * 4;
    if (transport_size < kTcpHeaderSize || total <= network_size + transport_size) return false;
    to = {.network = network,
          .transport = transport,
          .header = kEthernetHeaderSize + network_size + transport_size,
          .payload = total - network_size - transport_size,
          .sequence = read_be32(transport + kTcpSequence),
          .flags = transport[kTcpFlags],
          .is_v4 = type == ETHERTYPE_IP};
    if ((to.flags & ~kPush) != kAcknowledgment) return false;
    if (frame.info.checksum == ChecksumState::kUnknown) {
        auto size = static_cast<uint32_t>(total - network_size);
        uint64_t sum = pseudo_header_sum(source, destination, IPPROTO_TCP, size);
        if (checksum_fold(checksum_add(transport, size, sum)) != 0xffff) return false;
        frame.info.checksum = ChecksumState::kVerified;
    }
    frame.truncate(kEthernetHeaderSize + total);  // without Ethernet's padding
    return true;
}

bool ReceiveOffload::same_flow(const Segment& a, const Segment& b) {
    if (a.is_v4 != b.is_v4 || memcmp(a.transport, b.transport, 4) != 0) return false;
    return a.is_v4 ? memcmp(a.network + ipv4::kSource, b.network + ipv4::kSource, 8) == 0
                   : memcmp(a.network + ipv6::kSource, b.network + ipv6::kSource, 32) == 0;
}

// Whether nothing is lost by being one packet: the same headers, and it continues where the other
// ends.
bool ReceiveOffload::can_follow(const Held& held, const Segment& segment) {
    const Segment& first = held.first;
    if (held.is_closed || segment.sequence != held.next_sequence ||
        segment.header != first.header || segment.payload > first.payload ||
        held.payload + segment.payload > kMaxMerged) {
        return false;
    }
    bool same_network =
        first.is_v4
            ? first.network[ipv4::kTypeOfService] == segment.network[ipv4::kTypeOfService] &&
                  first.network[ipv4::kTimeToLive] == segment.network[ipv4::kTimeToLive]
            : memcmp(first.network, segment.network, 4) == 0 &&
                  first.network[ipv6::kHopLimit] == segment.network[ipv6::kHopLimit];
    size_t options = segment.header - static_cast<size_t>(segment.transport - segment.network) -
                     kEthernetHeaderSize - kTcpHeaderSize;
    return same_network &&
           memcmp(first.transport + kTcpAcknowledgment, segment.transport + kTcpAcknowledgment,
                  4) == 0 &&
           memcmp(first.transport + kTcpWindow, segment.transport + kTcpWindow, 2) == 0 &&
           memcmp(first.transport + kTcpHeaderSize, segment.transport + kTcpHeaderSize, options) ==
               0;
}

void ReceiveOffload::deliver(Held& held) {
    if (held.segments > 1) {
        held.frame->info.segment_size = static_cast<uint16_t>(held.first.payload);
        held.frame->info.segmentation =
            held.first.is_v4 ? SegmentationType::kTcpV4 : SegmentationType::kTcpV6;
    }
    deliver_(std::move(held.frame), interface_);
}

void ReceiveOffload::remove(size_t index) {
    Held held = std::move(held_[index]);
    held_count_--;
    for (size_t i = index; i < held_count_; i++) held_[i] = std::move(held_[i + 1]);
    deliver(held);
}

void ReceiveOffload::receive(BufferPtr frame) {
    Segment segment;
    if (!parse(*frame, segment)) {
        // Perhaps a FIN or a bare ACK of a held flow: it must not overtake.
        flush();
        deliver_(std::move(frame), interface_);
        return;
    }
    bool ends = (segment.flags & kPush) != 0;
    for (size_t i = 0; i < held_count_; i++) {
        Held& held = held_[i];
        if (!same_flow(held.first, segment)) continue;
        if (!can_follow(held, segment)) {
            remove(i);
            break;
        }
        held.is_closed = ends || segment.payload < held.first.payload;
        // The last segment's PSH is the whole's.
        if (ends) const_cast<uint8_t*>(held.first.transport)[kTcpFlags] |= kPush;
        held.next_sequence += static_cast<uint32_t>(segment.payload);
        held.payload += segment.payload;
        held.segments++;
        counters().gro_merged++;
        frame->pull(segment.header);
        Buffer* added = frame.get();
        held.last->set_next(std::move(frame));
        held.last = added;
        return;
    }
    // Nothing can follow it.
    if (ends) return deliver_(std::move(frame), interface_);
    if (held_count_ == kMaxHeld) remove(0);
    Held& held = held_[held_count_++];
    held = {.frame = nullptr,
            .last = frame.get(),
            .first = segment,
            .next_sequence = segment.sequence + static_cast<uint32_t>(segment.payload),
            .payload = segment.payload,
            .segments = 1,
            .is_closed = false};
    held.frame = std::move(frame);
}

void ReceiveOffload::flush() {
    for (size_t i = 0; i < held_count_; i++) deliver(held_[i]);
    held_count_ = 0;
}

}  // namespace coracle::net
