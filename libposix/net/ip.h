// The seam between IP and the protocols above it (TCP, UDP, raw sockets).
//
// Out: the protocol builds its header in front of its payload in a chain of buffers, leaves
// kPacketHeadroom less its own header before it, and calls ip_output(). Checksum: the field holds
// the folded pseudo-header sum (not complemented), and info.checksum is kPartial with
// checksum_start 0 and checksum_offset the field's place; IP moves checksum_start along. To have a
// large packet cut, by the device or in software: info.segment_size and info.segmentation.
//
// In: Protocol::input gets the packet from its transport header on, padding removed, fragments
// joined. It may be many segments of one flow in one (info.segment_size is then not 0), and its
// checksum is to be tested with transport_checksum_holds() (checksum.h). The IP header still lies
// before data(): push(input.header_length) makes it visible again.
//
// Neither sleeps; input runs from a device's poll or, for loopback, from a later one (never inside
// the sender's ip_output()).
#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "libposix/net/buffer.h"
#include "libposix/net/route.h"

namespace coracle::net {

struct IpOutput {
    IpAddress source{};  // any: the route's, unless source_is_chosen
    IpAddress destination{};
    uint8_t protocol = 0;
    uint8_t hop_limit = 0;      // 0: 64, or the router's
    uint8_t traffic_class = 0;  // TOS: DSCP and ECN
    bool dont_fragment = true;  // IPv4's DF. Larger than the path's MTU: EMSGSIZE, else fragments
    uint32_t flow_label = 0;    // IPv6
    uint32_t interface_index = 0;
    bool loops_multicast = true;    // members on this machine get a copy
    bool stays_on_node = false;     // to a group: for members on this machine alone (a TTL of 0)
    bool source_is_chosen = false;  // the unspecified address is meant
    bool has_router_alert = false;  // IPv6: a hop-by-hop option (RFC 2711)
    const Route* route = nullptr;   // if the sender has it
    uint16_t* next_identification = nullptr;  // IPv4's, of a flow that counts its own
    const uint8_t* ipv4_options = nullptr;    // padded to 4 bytes; copied
    uint8_t ipv4_options_length = 0;
    uint32_t largest_fragment = UINT32_MAX;  // IPv6: of what must be cut (IPV6_MTU)
};

// Takes the packet over in any case. ENETUNREACH, EMSGSIZE, ENOBUFS, EINVAL.
Result<void> ip_output(BufferPtr packet, const IpOutput& how);
// A packet whose IP header is there already (IP_HDRINCL): fills in total length, checksum, an
// identification and a source if they are zero.
Result<void> ip_output_with_header(BufferPtr packet, uint32_t interface_index);

struct IpInput {
    IpAddress source, destination;
    Interface* interface;
    uint32_t header_length;  // bytes of IP headers before data(); extension headers included
    uint8_t protocol;
    uint8_t hop_limit;
    uint8_t traffic_class;
    bool is_broadcast;          // or multicast: no errors and no resets in answer
    // Of what was joined: bytes with IP's headers; 0: it came whole.
    uint32_t largest_fragment = 0;
};

// An ICMP error about a packet that this machine sent (RFC 1122, 3.2.2; RFC 4443, 2.4).
struct IcmpError {
    IpAddress source, destination;  // of the packet that we sent: source is ours
    const uint8_t* transport;       // what is quoted of it from its transport header on
    size_t transport_length;        // at least 8
    int error;                      // errno, as Linux maps it; EMSGSIZE: see mtu
    bool is_fatal;                  // hard: Linux fails connections for it (RFC 1122, 4.2.3.9)
    uint8_t type, code;
    uint8_t protocol;    // of the packet that we sent
    uint32_t mtu;        // of EMSGSIZE; already noted for routes
    IpAddress offender;  // who reports it
    Interface* interface;
};

struct Protocol {
    void (*input)(BufferPtr packet, const IpInput& how);
    void (*error)(const IcmpError& error);  // may be null
};
// One each of the 256; both families. Called at boot.
void register_protocol(uint8_t number, const Protocol& protocol);

// Tells the sender of a packet that came in that nobody listens (ICMP 3/3, ICMPv6 1/4) or that its
// protocol is unknown (3/2, 4/1). `packet` as given to input. Rate-limited.
enum class Unreachable { kPort, kProtocol };
void send_unreachable(BufferPtr packet, const IpInput& how, Unreachable reason);

}  // namespace coracle::net
