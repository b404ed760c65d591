#include "libposix/net/link/ethernet.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "libposix/net/checksum.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/segmentation.h"

namespace coracle::net {

namespace {

constexpr MacAddress kBroadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

}  // namespace

uint8_t packet_type_of(const MacAddress& to, const Interface& interface) {
    if (to == interface.mac) return PACKET_HOST;
    if (!to.is_group()) return PACKET_OTHERHOST;
    return to == kBroadcast ? PACKET_BROADCAST : PACKET_MULTICAST;
}

namespace {

void transmit_one(Interface& interface, const MacAddress& to, uint16_t protocol, BufferPtr packet) {
    if (!interface.offloads.checksum) complete_checksum(*packet);
    if (packet->headroom() < kEthernetHeaderSize) {
        BufferPtr front = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
        if (!front) {
            interface.statistics().tx_dropped++;
            return;
        }
        front->info = packet->info;
        front->set_next(std::move(packet));
        packet = std::move(front);
    }
    uint8_t* header = packet->push(kEthernetHeaderSize);
    memcpy(header, to.bytes, 6);
    memcpy(header + 6, interface.mac.bytes, 6);
    write_be16(header + 12, protocol);
    packet->info.checksum_start += kEthernetHeaderSize;
    packet->info.network_offset += kEthernetHeaderSize;
    if (frame_tap) tap_frame(*packet, interface, PACKET_OUTGOING);
    interface.transmit(std::move(packet));
}

bool device_cuts(const Interface& interface, SegmentationType type) {
    switch (type) {
        case SegmentationType::kNone:
            return true;
        case SegmentationType::kTcpV4:
            return interface.offloads.tso_v4;
        case SegmentationType::kTcpV6:
            return interface.offloads.tso_v6;
        case SegmentationType::kUdp:
            return interface.offloads.uso;
    }
    return false;
}

}  // namespace

EthernetInterface::EthernetInterface(std::string_view name, uint32_t mtu)
    : Interface(name, ARPHRD_ETHER, mtu) {
    flags = IFF_BROADCAST | IFF_MULTICAST;
}

void EthernetInterface::output(BufferPtr packet, const IpAddress& next_hop) {
    uint16_t protocol = next_hop.is_v4() ? ETHERTYPE_IP : ETHERTYPE_IPV6;
    if (next_hop.is_multicast()) {
        send_ethernet(*this, ethernet_group(next_hop), protocol, std::move(packet));
    } else if (next_hop.is_limited_broadcast() || is_broadcast(next_hop)) {
        send_ethernet(*this, kBroadcast, protocol, std::move(packet));
    } else {
        send_to_neighbor(*this, next_hop, std::move(packet));
    }
}

void send_ethernet(Interface& interface, const MacAddress& to, uint16_t protocol,
                   BufferPtr packet) {
    if (device_cuts(interface, packet->info.segmentation)) {
        transmit_one(interface, to, protocol, std::move(packet));
        return;
    }
    Segmenter segmenter(std::move(packet));
    while (BufferPtr segment = segmenter.next()) {
        transmit_one(interface, to, protocol, std::move(segment));
    }
    interface.statistics().tx_dropped += segmenter.failed();
}

void send_whole_frame(Interface& interface, BufferPtr frame) {
    if (device_cuts(interface, frame->info.segmentation)) {
        if (!interface.offloads.checksum) complete_checksum(*frame);
        interface.transmit(std::move(frame));
        return;
    }
    uint8_t header[kEthernetHeaderSize];
    memcpy(header, frame->data(), sizeof(header));
    frame->pull(sizeof(header));
    frame->info.checksum_start -= sizeof(header);
    Segmenter segmenter(std::move(frame));
    while (BufferPtr segment = segmenter.next()) {
        if (!interface.offloads.checksum) complete_checksum(*segment);
        memcpy(segment->push(sizeof(header)), header, sizeof(header));
        segment->info.checksum_start += sizeof(header);
        interface.transmit(std::move(segment));
    }
    interface.statistics().tx_dropped += segmenter.failed();
}

MacAddress ethernet_group(const IpAddress& group) {
    const uint8_t* bytes = group.v6_bytes();
    if (group.is_v4()) {
        return {{0x01, 0x00, 0x5e, static_cast<uint8_t>(bytes[13] & 0x7f), bytes[14], bytes[15]}};
    }
    return {{0x33, 0x33, bytes[12], bytes[13], bytes[14], bytes[15]}};
}

void ethernet_input(BufferPtr frame, Interface& interface) {
    if (frame->length() < kEthernetHeaderSize) {
        interface.statistics().rx_errors++;
        return;
    }
    const uint8_t* header = frame->data();
    MacAddress to;
    memcpy(to.bytes, header, 6);
    uint16_t protocol = read_be16(header + 12);
    uint8_t type = packet_type_of(to, interface);
    frame->info.interface = &interface;
    frame->info.link_type = type;
    frame->info.ethernet_protocol = protocol;
    if (frame_tap) tap_frame(*frame, interface, type);
    if (type == PACKET_OTHERHOST) return;
    if (type == PACKET_MULTICAST) interface.statistics().multicast++;
    frame->pull(kEthernetHeaderSize);
    switch (protocol) {
        case ETHERTYPE_IP:
            ipv4_input(std::move(frame), interface);
            break;
        case ETHERTYPE_IPV6:
            ipv6_input(std::move(frame), interface);
            break;
        case ETHERTYPE_ARP:
            arp_input(std::move(frame), interface);
            break;
        default:
            interface.statistics().rx_dropped++;
    }
}

void tap_frame(Buffer& frame, Interface& interface, uint8_t packet_type) {
    frame.info.interface = &interface;
    frame.info.link_type = packet_type;
    frame.info.ethernet_protocol = read_be16(frame.data() + 12);
    frame_tap(frame, interface);
}

}  // namespace coracle::net
