// Routing: to which interface and neighbour a destination leads, with which source address, and how
// large a packet may be on the way.
#pragma once

#include <cstdint>
#include <span>

#include "libposix/net/interface.h"

namespace coracle::net {

struct Route {
    Interface* interface = nullptr;
    IpAddress source{};     // what to send from, unless the sender has chosen
    IpAddress next_hop;     // the destination itself, or a gateway
    uint32_t mtu = 0;       // of whole IP packets, path MTU discovery included (RFC 1191, RFC 8201)
    bool is_local = false;  // this machine itself
    bool is_broadcast = false;
};

// `source`: an address that the sender insists on, or any. `interface_index`: SO_BINDTODEVICE, a
// scope, or IP_PKTINFO; 0: any. ENETUNREACH, EHOSTUNREACH (a reject), EINVAL for a link-local
// destination without an interface.
Result<Route> find_route(const IpAddress& destination, const IpAddress& source,
                         uint32_t interface_index);

// Changes whenever a Route that somebody keeps may be wrong: addresses, routes, path MTUs.
uint32_t route_generation();

// A route that its owner keeps for one destination, looked up again when the generation changes.
class CachedRoute {
  public:
    // As find_route(); always with the same arguments, or after forget().
    Result<const Route*> get(const IpAddress& destination, const IpAddress& source,
                             uint32_t interface_index) {
        if (generation_ != route_generation()) {
            route_ = TRY(find_route(destination, source, interface_index));
            generation_ = route_generation();
        }
        return static_cast<const Route*>(&route_);
    }
    void forget() { generation_ = 0; }

  private:
    Route route_;
    uint32_t generation_ = 0;
};

// A row of the routing table.
struct RouteEntry {
    IpAddress destination{};
    uint8_t prefix_length = 0;  // of 32 or 128
    IpAddress gateway{};        // any: on the link
    Interface* interface = nullptr;
    IpAddress source{};    // preferred source; any: the interface's
    uint32_t metric = 0;   // the lesser is better
    uint32_t mtu = 0;      // 0: the interface's
    uint8_t protocol = 0;  // RTPROT_*
    uint64_t valid_until_ns = UINT64_MAX;
};
constexpr size_t kMaxRoutes = 64;
std::span<const RouteEntry> routes();
Result<void> add_route(const RouteEntry& entry);  // ENOBUFS; replaces the same destination's
void remove_route(const IpAddress& destination, uint8_t prefix_length, Interface* interface,
                  const IpAddress& gateway);
void routes_changed();

// Path MTU discovery: a router said that packets to `destination` may have `mtu` bytes.
void note_path_mtu(const IpAddress& destination, uint32_t mtu);
// 0: nothing is known.
uint32_t path_mtu(const IpAddress& destination);

}  // namespace coracle::net
