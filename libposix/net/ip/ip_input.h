// From a frame's payload to the protocol that it is for.
#pragma once

#include "libposix/net/ip.h"

namespace coracle::net {

// A packet from its IP header on, as the link has it (padding and all).
void ipv4_input(BufferPtr packet, Interface& interface);
void ipv6_input(BufferPtr packet, Interface& interface);

// Hands a whole packet, from its transport header on, to raw sockets and its protocol.
void deliver_packet(BufferPtr packet, const IpInput& how);
const Protocol* find_protocol(uint8_t number);

// Raw sockets look at every packet for this machine before its protocol does, and tell whether one
// of them took a copy.
using RawInput = bool (*)(const Buffer& packet, const IpInput& how);
using RawError = void (*)(const IcmpError& error);
void set_raw_input(RawInput input, RawError error);
void report_raw_error(const IcmpError& error);

// Whether a packet to `destination` that came by `interface` is for this machine.
bool is_for_us(const IpAddress& destination, const Interface& interface, bool* is_group);

// Drops what the link added behind the packet. False: bytes are missing.
bool trim_packet(Buffer& packet, size_t length);

// Copies the headers' bytes to one buffer, so that `size` of them lie at data(). False: too short.
bool make_contiguous(BufferPtr& packet, size_t size);

}  // namespace coracle::net
