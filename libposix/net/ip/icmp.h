// ICMP (RFC 792, RFC 1122, 3.2.2) and ICMPv6 (RFC 4443): echoes, errors to others and from them.
#pragma once

#include <optional>

#include "libposix/net/ip.h"

namespace coracle::net {

// Registers both with IP.
void start_icmp();

// Errors to the sender of a packet that came in, `packet` from its transport header on, headers
// before it. Never about errors, groups or unspecified sources (RFC 1122, 3.2.2; RFC 4443, 2.4(e)),
// and at most 1,000 a second in bursts of 50, as Linux.
void send_icmp_error(BufferPtr packet, const IpInput& how, uint8_t type, uint8_t code,
                     uint32_t parameter = 0);
void send_reassembly_timeout(BufferPtr first_fragment, const IpInput& how);

// A packet of our own, from its IP header on, that cannot be sent: its protocol is told, as if a
// router had said so.
void report_undeliverable(BufferPtr packet, int error);

// Parts that both versions share.
bool icmp_error_is_allowed();  // takes from the budget
// Parses what an error quotes and tells the transport. `quoted` from its IP header on.
void deliver_icmp_error(const uint8_t* quoted, size_t size, IcmpError error);
constexpr size_t kIcmpHeaderSize = 8;
// The beginning of an error that came in, from the ICMP header on, and what it says in either
// version.
struct IncomingIcmpError {
    uint8_t message[kIcmpHeaderSize + 256];
    size_t size;
    IcmpError error;

    void deliver() const {
        deliver_icmp_error(message + kIcmpHeaderSize, size - kIcmpHeaderSize, error);
    }
};
// Nothing, and counted, if it quotes less than an IP header.
std::optional<IncomingIcmpError> read_icmp_error(const Buffer& packet, const IpInput& how);

void icmpv4_input(BufferPtr packet, const IpInput& how);
void icmpv6_input(BufferPtr packet, const IpInput& how);

// Neighbour discovery, which is part of ICMPv6 (RFC 4861): the whole message, its checksum good.
void ndp_input(uint8_t type, BufferPtr packet, const IpInput& how);
// Gives an Ethernet interface its link-local address and asks the routers for prefixes.
void start_ipv6(Interface& interface);
// For an address that was given: neighbours find it by its group, and a duplicate is noticed.
void join_solicited_node(Interface& interface, const IpAddress& address);
void probe_address(Interface& interface, const IpAddress& address);
// Sends an ICMPv6 message, computing its checksum.
void send_icmpv6(BufferPtr message, const IpOutput& how);

}  // namespace coracle::net
