// AF_INET and AF_INET6: which socket serves which type and protocol. The network starts with the
// first of them.
#pragma once

#include "libposix/net/socket.h"

namespace coracle::net {

// Creates a socket; kind.protocol is never 0 but for raw sockets.
using CreateInetSocket = Result<RefPtr<Socket>> (*)(Socket::Kind kind, uint32_t flags);

// For both families, at boot. `protocol`: the default one of its type; 0: serves every protocol.
void register_inet_socket(int type, int protocol, CreateInetSocket create);

// Registers the families, and UDP, raw and ICMP datagram sockets.
void register_inet_families();

}  // namespace coracle::net
