// The parts of ip_output().
#pragma once

#include "libposix/net/ip.h"

namespace coracle::net {

// Put the header in front of the packet and hand it to the interface, in fragments if it must be.
// `how.source` is chosen.
Result<void> ipv4_output(BufferPtr packet, const IpOutput& how, const Route& route);
Result<void> ipv6_output(BufferPtr packet, const IpOutput& how, const Route& route);

// To the interface, and a copy to this machine if it is a member of the group, or for a broadcast.
void send_packet(BufferPtr packet, const IpOutput& how, const Route& route);

// Room in front of `packet` that nobody else has: a buffer of its own if there is none.
bool ensure_headroom(BufferPtr& packet, size_t size);

// Shares `size` bytes of the chain from `offset`. Null: memory is short.
BufferPtr share_chain(Buffer& packet, size_t offset, size_t size);

}  // namespace coracle::net
