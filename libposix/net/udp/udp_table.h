// Which UDP socket a datagram is for, and which ports are taken.
#pragma once

#include "libposix/net/udp/udp_socket.h"

namespace coracle::net {

// The best match (Linux's compute_score): connected before bound to the address before bound to a
// device before the wildcard. Equal ones share the flows, if they reuse the port. Null: nobody.
UdpSocket* find_udp_socket(const Endpoint& remote, const Endpoint& local, uint32_t interface_index);

// Whether a socket accepts datagrams to a group or broadcast address.
bool accepts_group(const UdpSocket& socket, const Endpoint& remote, const Endpoint& local,
                   uint32_t interface_index);

// EADDRINUSE. Port 0: a free ephemeral one, which is put into `local`.
Result<void> claim_udp_port(UdpSocket& socket, Endpoint& local);

}  // namespace coracle::net
