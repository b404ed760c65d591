// Which local ports TCP sockets have, and who may share them (man 7 socket: SO_REUSEADDR,
// SO_REUSEPORT; Linux's inet_csk_get_port).
#pragma once

#include "libposix/net/address.h"
#include "libposix/net/inet/stream_socket.h"

namespace coracle::net {

// net.ipv4.ip_local_port_range.
constexpr uint16_t kFirstEphemeralPort = 32768, kLastEphemeralPort = 60999;

// Gives the socket the port of `local`, or a free one, which is put there. EADDRINUSE.
Result<void> claim_stream_port(StreamSocket& socket, Endpoint& local);
// Whether the socket may begin to listen where it is bound: EADDRINUSE.
Result<void> check_listen(const StreamSocket& socket);
// A local port for a connection to `flow.remote` that nobody else has; EADDRNOTAVAIL.
Result<void> choose_connection_port(FlowKey& flow);

}  // namespace coracle::net
