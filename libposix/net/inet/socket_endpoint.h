// Socket addresses of AF_INET and AF_INET6 as endpoints, and back.
#pragma once

#include "libposix/net/address.h"
#include "libposix/net/route.h"
#include "libposix/net/socket.h"

namespace coracle::net {

// Of a socket of `family`. An AF_INET6 socket takes IPv4-mapped addresses. EINVAL: too short;
// EAFNOSUPPORT: of another family.
Result<Endpoint> endpoint_of(int family, const SocketAddress& address);

// As a socket of `family` shows it; a wildcard of an AF_INET6 socket is `::`.
void write_endpoint(int family, const Endpoint& endpoint, SocketAddress& to);

inline IpAddress wildcard_like(const IpAddress& address) {
    return address.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6();
}

// Whether bind(2) or a send has given the socket a port.
bool has_local_address(Socket& socket);

// Checks that an address may be bound: EADDRNOTAVAIL, EINVAL (a link-local one without a scope),
// ENODEV.
Result<void> check_bindable(const Endpoint& local, bool freebind);

// SO_DONTROUTE and MSG_DONTROUTE, which IPv4 alone knows. ENETUNREACH: the destination is behind a
// gateway.
inline Result<void> check_gateway(const Socket& socket, uint32_t message_flags, const Route& route,
                                  const IpAddress& destination) {
    const bool is_kept = message_flags & MSG_DONTROUTE || socket.options.is_on(SO_DONTROUTE);
    if (is_kept && destination.is_v4() && !(route.next_hop == destination)) [[unlikely]]
        return Error(ENETUNREACH);
    return {};
}

}  // namespace coracle::net
