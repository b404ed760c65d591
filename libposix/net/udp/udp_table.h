// Which UDP socket a datagram is for, and which ports are taken.
#pragma once

#include "libposix/net/udp/udp_socket.h"

namespace coracle::net {

// The best match among the sockets of UDP or UDP-Lite (Linux's compute_score): connected before
// bound to the address before bound to a device before the wildcard. Equal ones share the flows, if
// they reuse the port; `packet`, from its UDP header on, is what their program sees (null: there is
// none). Null: nobody.
UdpSocket* find_udp_socket(const Endpoint& remote, const Endpoint& local, uint32_t interface_index,
                           const Buffer* packet, bool is_lite = false);

// Calls visit(UdpSocket&) for each with which this one shares its port (SO_REUSEPORT), the latest
// first; also for itself.
template <typename Visit>
void for_each_sharer(const UdpSocket& socket, Visit visit) {
    for (UdpSocket& other : udp_bucket(socket.local().port, socket.is_lite())) {
        if (other.reuses_port() && other.local() == socket.local() &&
            other.options.bound_device == socket.options.bound_device) {
            visit(other);
        }
    }
}
// A socket with a program leaves its port: the latest sharer takes its place among them.
void leave_sharers(UdpSocket& socket);

// Whether a socket accepts datagrams to a group or broadcast address.
bool accepts_group(const UdpSocket& socket, const Endpoint& remote, const Endpoint& local,
                   uint32_t interface_index);

// EADDRINUSE. Port 0: a free ephemeral one, which is put into `local`.
Result<void> claim_udp_port(UdpSocket& socket, Endpoint& local);

}  // namespace coracle::net
