#include "libposix/net/inet/socket_endpoint.h"

#include <netinet/in.h>

#include "libposix/net/interface.h"

namespace coracle::net {

Result<Endpoint> endpoint_of(int family, const SocketAddress& address) {
    if (address.length < sizeof(sa_family_t)) return Error(EINVAL);
    if (family == AF_INET) {
        if (address.length < sizeof(sockaddr_in)) return Error(EINVAL);
        const auto& from = address.as<sockaddr_in>();
        if (from.sin_family != AF_INET) return Error(EAFNOSUPPORT);
        return Endpoint{IpAddress::from_v4_bytes(&from.sin_addr), __builtin_bswap16(from.sin_port)};
    }
    // Without the scope, as in RFC 2133's time.
    constexpr size_t kShortest = 24;
    if (address.length < kShortest) return Error(EINVAL);
    const auto& from = address.as<sockaddr_in6>();
    if (from.sin6_family != AF_INET6) return Error(EAFNOSUPPORT);
    Endpoint endpoint{IpAddress::from_v6_bytes(&from.sin6_addr), __builtin_bswap16(from.sin6_port)};
    if (endpoint.address.is_link_local() && address.length >= sizeof(sockaddr_in6)) {
        endpoint.scope = from.sin6_scope_id;
    }
    return endpoint;
}

void write_endpoint(int family, const Endpoint& endpoint, SocketAddress& to) {
    memset(to.bytes, 0, sizeof(sockaddr_in6));
    if (family == AF_INET) {
        auto& address = to.as<sockaddr_in>();
        to.length = sizeof(sockaddr_in);
        address.sin_family = AF_INET;
        address.sin_port = __builtin_bswap16(endpoint.port);
        if (endpoint.address.is_v4()) memcpy(&address.sin_addr, endpoint.address.v4_bytes(), 4);
        return;
    }
    auto& address = to.as<sockaddr_in6>();
    to.length = sizeof(sockaddr_in6);
    address.sin6_family = AF_INET6;
    address.sin6_port = __builtin_bswap16(endpoint.port);
    memcpy(&address.sin6_addr, endpoint.address.v6_bytes(), 16);
    if (endpoint.address.is_link_local() && endpoint.address.is_v6()) {
        address.sin6_scope_id = endpoint.scope;
    }
}

bool has_local_address(Socket& socket) {
    SocketAddress local;
    if (!socket.local_address(local).ok()) return false;
    auto endpoint = endpoint_of(socket.family(), local);
    return endpoint.ok() && (endpoint->port != 0 || !endpoint->address.is_any());
}

Result<void> check_bindable(const Endpoint& local, bool freebind) {
    const IpAddress& address = local.address;
    if (address.is_v6() && address.is_link_local()) {
        if (!local.scope) return Error(EINVAL);
        if (!find_interface(local.scope)) return Error(ENODEV);
    }
    if (address.is_any() || address.is_multicast() || freebind || is_local_address(address)) {
        return {};
    }
    if (address.is_limited_broadcast()) return {};
    for (Interface* interface : interfaces()) {
        if (interface->is_broadcast(address)) return {};
    }
    return Error(EADDRNOTAVAIL);
}

}  // namespace coracle::net
