#include "libposix/net/link/loopback.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>

#include "libposix/net/ip/ip_input.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/network.h"

namespace coracle::net {

namespace {
LoopbackInterface* the_loopback;
// Two programs that answer each other must not keep the others from the CPU.
constexpr int kPollBudget = 256;

// Shows a packet to packet sockets, with the Ethernet header of zeros that Linux gives it.
void tap_packet(Buffer& packet, Interface& interface, uint8_t packet_type) {
    if (packet.headroom() < kEthernetHeaderSize || packet.length() == 0) return;
    uint16_t protocol = packet.data()[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP;
    uint8_t* header = packet.push(kEthernetHeaderSize);
    memset(header, 0, kEthernetHeaderSize - 2);
    write_be16(header + kEthernetHeaderSize - 2, protocol);
    packet.info.checksum_start += kEthernetHeaderSize;
    tap_frame(packet, interface, packet_type);
    packet.info.checksum_start -= kEthernetHeaderSize;
    packet.pull(kEthernetHeaderSize);
}
}  // namespace

LoopbackInterface::LoopbackInterface() : Interface("lo", ARPHRD_LOOPBACK, kLoopbackMtu) {
    flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK | IFF_LOWER_UP;
    offloads = {.checksum = true, .tso_v4 = true, .tso_v6 = true};
    if (has_memory() && queues_.allocate()) {
        the_loopback = this;
    } else {
        flags = IFF_LOOPBACK;
    }
}

LoopbackInterface* loopback() {
    return the_loopback;
}

void LoopbackInterface::output(BufferPtr packet, const IpAddress&) {
    if (frame_tap) [[unlikely]]
        tap_packet(*packet, *this, PACKET_OUTGOING);
    packet->info.ethernet_protocol = 0;
    enqueue(std::move(packet));
}

void LoopbackInterface::enqueue(BufferPtr packet) {
    packet->info.interface = this;
    size_t size = packet->chain_length();
    InterfaceStatistics& counted = statistics();
    counted.tx_packets++;
    counted.tx_bytes += size;
    counted.rx_packets++;
    counted.rx_bytes += size;
    queues_.current().push_back(std::move(packet));
    network_has_work();
}

void LoopbackInterface::transmit(BufferPtr frame) {
    // From a packet socket; the header stays, and the protocol tells that it is there.
    if (frame->length() < kEthernetHeaderSize) return;
    frame->info.ethernet_protocol = read_be16(frame->data() + kEthernetHeaderSize - 2);
    enqueue(std::move(frame));
}

// Takes the header of a packet socket's frame off. False: it is for no protocol of ours.
bool LoopbackInterface::receive_frame(Buffer& frame) {
    MacAddress to;
    memcpy(to.bytes, frame.data(), sizeof(to.bytes));
    uint8_t type = packet_type_of(to, *this);
    if (frame_tap) tap_frame(frame, *this, type);
    frame.pull(kEthernetHeaderSize);
    frame.info.checksum_start -= kEthernetHeaderSize;
    uint16_t protocol = std::exchange(frame.info.ethernet_protocol, 0);
    if (type == PACKET_OTHERHOST || frame.length() == 0) return false;
    return protocol == (frame.data()[0] >> 4 == 6 ? ETHERTYPE_IPV6 : ETHERTYPE_IP);
}

void LoopbackInterface::poll() {
    BufferQueue& queue = queues_.current();
    for (int budget = kPollBudget; budget > 0; budget--) {
        BufferPtr packet = queue.pop_front();
        if (!packet) return;
        auto& interface = *static_cast<Interface*>(packet->info.interface);
        if (packet->info.ethernet_protocol) [[unlikely]] {
            if (!receive_frame(*packet)) continue;
        } else if (frame_tap && &interface == this) [[unlikely]] {
            tap_packet(*packet, *this, PACKET_HOST);
        }
        uint8_t version = packet->length() ? packet->data()[0] >> 4 : 0;
        if (version == 4) {
            ipv4_input(std::move(packet), interface);
        } else if (version == 6) {
            ipv6_input(std::move(packet), interface);
        }
    }
    network_has_work();
}

void loop_back(BufferPtr packet, Interface& interface) {
    if (!the_loopback) return;
    packet->info.interface = &interface;
    packet->info.ethernet_protocol = 0;
    the_loopback->queues_.current().push_back(std::move(packet));
    network_has_work();
}

}  // namespace coracle::net
