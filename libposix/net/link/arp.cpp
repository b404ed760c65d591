// The address resolution protocol (RFC 826) for IPv4 on Ethernet.
#include <net/ethernet.h>

#include "libposix/net/link/ethernet.h"
#include "libposix/net/link/neighbor.h"

namespace coracle::net {

namespace {

constexpr size_t kArpSize = 28;
constexpr uint16_t kHardwareEthernet = 1, kRequest = 1, kReply = 2;
constexpr MacAddress kBroadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// Offsets of the fields.
constexpr size_t kHardware = 0, kProtocol = 2, kHardwareLength = 4, kProtocolLength = 5,
                 kOperation = 6, kSenderMac = 8, kSenderAddress = 14, kTargetMac = 18,
                 kTargetAddress = 24;

void send(Interface& interface, uint16_t operation, const IpAddress& source,
          const MacAddress& target_mac, const IpAddress& target, const MacAddress& to) {
    BufferPtr packet = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
    if (!packet) return;
    uint8_t* arp = packet->append(kArpSize);
    write_be16(arp + kHardware, kHardwareEthernet);
    write_be16(arp + kProtocol, ETHERTYPE_IP);
    arp[kHardwareLength] = 6;
    arp[kProtocolLength] = 4;
    write_be16(arp + kOperation, operation);
    memcpy(arp + kSenderMac, interface.mac.bytes, 6);
    memcpy(arp + kSenderAddress, source.v4_bytes(), 4);
    memcpy(arp + kTargetMac, target_mac.bytes, 6);
    memcpy(arp + kTargetAddress, target.v4_bytes(), 4);
    send_ethernet(interface, to, ETHERTYPE_ARP, std::move(packet));
}

}  // namespace

void send_arp_request(Interface& interface, const IpAddress& target, const MacAddress* unicast) {
    const InterfaceAddress* own = interface.choose_source(target);
    // Without an address of our own yet it is an ARP probe (RFC 5227, 2.1.1).
    send(interface, kRequest, own ? own->address : IpAddress::any_v4(), {}, target,
         unicast ? *unicast : kBroadcast);
}

void arp_input(BufferPtr packet, Interface& interface) {
    uint8_t arp[kArpSize];
    if (!packet->copy_out(0, arp, kArpSize) || read_be16(arp + kHardware) != kHardwareEthernet ||
        read_be16(arp + kProtocol) != ETHERTYPE_IP || arp[kHardwareLength] != 6 ||
        arp[kProtocolLength] != 4) {
        interface.statistics().rx_errors++;
        return;
    }
    uint16_t operation = read_be16(arp + kOperation);
    IpAddress sender = IpAddress::from_v4_bytes(arp + kSenderAddress);
    IpAddress target = IpAddress::from_v4_bytes(arp + kTargetAddress);
    MacAddress mac;
    memcpy(mac.bytes, arp + kSenderMac, 6);
    bool is_ours = interface.find_address(target) != nullptr;
    bool from_us = interface.find_address(sender) != nullptr;
    if (!sender.is_any() && !sender.is_multicast() && !from_us) {
        neighbor_heard(interface, sender, mac,
                       {.is_solicited = operation == kReply && is_ours,
                        .may_create = operation == kRequest && is_ours});
    }
    if (operation == kRequest && is_ours) send(interface, kReply, target, mac, sender, mac);
}

}  // namespace coracle::net
