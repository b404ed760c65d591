#include "libposix/net/route.h"

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/prefix.h"

namespace coracle::net {

namespace {

RouteEntry table[kMaxRoutes];
size_t route_count;
uint32_t generation = 1;

// RFC 1191, 6.3; RFC 8201, 4: what was learnt is forgotten after ten minutes.
constexpr uint64_t kPathMtuLifetimeNs = 600'000'000'000;
struct PathMtu {
    IpAddress destination;
    uint32_t mtu = 0;
    uint64_t valid_until_ns = 0;
};
constexpr size_t kMaxPathMtus = 64;
PathMtu path_mtus[kMaxPathMtus];
size_t path_mtu_count;

void finish(Route& route, const IpAddress& destination) {
    uint32_t mtu = destination.is_v4() ? route.interface->mtu : route.interface->mtu_v6;
    if (route.mtu == 0 || route.mtu > mtu) route.mtu = mtu;
    if (path_mtu_count > 0 && !route.is_local) {
        if (uint32_t learnt = path_mtu(destination)) route.mtu = std::min(route.mtu, learnt);
    }
}

Result<Route> local_route(const IpAddress& destination) {
    Route route;
    route.interface = interfaces()[0];
    route.source = route.next_hop = destination;
    route.is_local = true;
    finish(route, destination);
    return route;
}

// Groups and 255.255.255.255 say nothing about the interface.
Interface* interface_for_group(const IpAddress& destination, const IpAddress& source) {
    if (!source.is_any()) {
        if (Interface* own = find_interface_of(source)) return own;
    }
    Interface* best = nullptr;
    for (Interface* interface : interfaces()) {
        if (!interface->is_up() || interface->is_loopback()) continue;
        if (!best && interface->choose_source(destination)) best = interface;
    }
    return best;
}

Result<Route> group_route(const IpAddress& destination, const IpAddress& source,
                          uint32_t interface_index) {
    Interface* interface = interface_index ? find_interface(interface_index)
                                           : interface_for_group(destination, source);
    if (!interface) return Error(interface_index ? ENODEV : ENETUNREACH);
    Route route;
    route.interface = interface;
    route.next_hop = destination;
    route.is_broadcast = !destination.is_multicast();
    const InterfaceAddress* own = interface->choose_source(destination);
    route.source = own ? own->address : wildcard_of(destination);
    finish(route, destination);
    return route;
}

const RouteEntry* best_entry(const IpAddress& destination, uint32_t interface_index) {
    const RouteEntry* best = nullptr;
    for (const RouteEntry& entry : routes()) {
        if (interface_index && entry.interface->index() != interface_index) continue;
        if (!entry.interface->is_up()) continue;
        if (!in_prefix(destination, entry.destination, entry.prefix_length)) continue;
        if (best && (entry.prefix_length < best->prefix_length ||
                     (entry.prefix_length == best->prefix_length && entry.metric >= best->metric)))
            continue;
        best = &entry;
    }
    return best;
}

}  // namespace

Result<Route> find_route(const IpAddress& destination, const IpAddress& source,
                         uint32_t interface_index) {
    if (destination.is_multicast() || destination.is_limited_broadcast()) {
        return group_route(destination, source, interface_index);
    }
    if (is_local_address(destination)) return local_route(destination);
    if (destination.is_v6() && destination.is_link_local() && !interface_index) {
        return Error(EINVAL);
    }
    const RouteEntry* entry = best_entry(destination, interface_index);
    if (!entry) return Error(ENETUNREACH);
    Route route;
    route.interface = entry->interface;
    route.next_hop = entry->gateway.is_any() ? destination : entry->gateway;
    route.mtu = entry->mtu;
    route.is_broadcast = entry->interface->is_broadcast(destination);
    route.source = entry->source;
    if (route.source.is_any() || destination.is_v6()) {
        const InterfaceAddress* own = entry->interface->choose_source(destination);
        if (!own) return Error(destination.is_v4() ? ENETUNREACH : EADDRNOTAVAIL);
        route.source = own->address;
    }
    finish(route, destination);
    return route;
}

uint32_t route_generation() {
    return generation;
}

void routes_changed() {
    // 0 is what a CachedRoute has that holds nothing.
    if (++generation == 0) generation = 1;
}

std::span<const RouteEntry> routes() {
    return {table, route_count};
}

Result<void> add_route(const RouteEntry& entry) {
    for (RouteEntry& old : std::span(table, route_count)) {
        if (old.destination == entry.destination && old.prefix_length == entry.prefix_length &&
            old.interface == entry.interface && old.gateway == entry.gateway) {
            old = entry;
            routes_changed();
            return {};
        }
    }
    if (route_count == kMaxRoutes) return Error(ENOBUFS);
    table[route_count++] = entry;
    routes_changed();
    return {};
}

void remove_route(const IpAddress& destination, uint8_t prefix_length, Interface* interface,
                  const IpAddress& gateway) {
    auto* end = std::remove_if(table, table + route_count, [&](const RouteEntry& entry) {
        return entry.destination == destination && entry.prefix_length == prefix_length &&
               entry.interface == interface && entry.gateway == gateway;
    });
    route_count = static_cast<size_t>(end - table);
    routes_changed();
}

void note_path_mtu(const IpAddress& destination, uint32_t mtu) {
    // RFC 8201, 4 and Linux's min_pmtu: nobody may talk us into crumbs.
    mtu = std::max<uint32_t>(mtu, destination.is_v4() ? 552 : 1280);
    uint64_t now = monotonic_ns();
    PathMtu* place = nullptr;
    for (PathMtu& known : std::span(path_mtus, path_mtu_count)) {
        if (known.destination == destination) place = &known;
    }
    if (!place && path_mtu_count < kMaxPathMtus) place = &path_mtus[path_mtu_count++];
    if (!place) {
        place = std::min_element(
            path_mtus, path_mtus + path_mtu_count,
            [](const PathMtu& a, const PathMtu& b) { return a.valid_until_ns < b.valid_until_ns; });
    }
    if (place->destination == destination && place->valid_until_ns > now && place->mtu <= mtu) {
        return;
    }
    *place = {destination, mtu, now + kPathMtuLifetimeNs};
    routes_changed();
}

uint32_t path_mtu(const IpAddress& destination) {
    for (const PathMtu& known : std::span(path_mtus, path_mtu_count)) {
        if (known.destination == destination) {
            return known.valid_until_ns > monotonic_ns() ? known.mtu : 0;
        }
    }
    return 0;
}

}  // namespace coracle::net
