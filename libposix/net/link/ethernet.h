// Ethernet frames (IEEE 802.3 with types, RFC 894, RFC 2464), and what they need of an interface.
#pragma once

#include "libposix/net/interface.h"

namespace coracle::net {

constexpr size_t kEthernetHeaderSize = 14;

// An interface on an Ethernet; a driver adds transmit() and poll().
class EthernetInterface : public Interface {
  public:
    EthernetInterface(std::string_view name, uint32_t mtu);
    void output(BufferPtr packet, const IpAddress& next_hop) override;

  protected:
    ~EthernetInterface() = default;
};

// Puts the Ethernet header in front and hands the frame to the driver, in one or in several frames
// as its offloads ask.
void send_ethernet(Interface& interface, const MacAddress& to, uint16_t protocol, BufferPtr packet);

// Sends a frame that has its header and says in its info what is left to do: here, if the interface
// cannot. What is to be cut has IPv4 or IPv6 behind the header, and its headers in one piece.
void send_whole_frame(Interface& interface, BufferPtr frame);

// A frame that came in, from its Ethernet header on. The driver has counted it.
void ethernet_input(BufferPtr frame, Interface& interface);

// The group address of an IP group (RFC 1112, 6.4; RFC 2464, 7).
MacAddress ethernet_group(const IpAddress& group);

// PACKET_HOST and so on, of a frame for this address.
uint8_t packet_type_of(const MacAddress& to, const Interface& interface);

// Sees every frame, in and out, from its Ethernet header on: packet sockets. Null: nobody looks.
using FrameTap = void (*)(const Buffer& frame, Interface& interface);
inline constinit FrameTap frame_tap = nullptr;
inline void set_frame_tap(FrameTap tap) {
    frame_tap = tap;
}
// Precondition: there is a tap.
void tap_frame(Buffer& frame, Interface& interface, uint8_t packet_type);

}  // namespace coracle::net
