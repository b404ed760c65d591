#include "libposix/net/netlink/route_dump.h"

#include <linux/if_addr.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/prefix.h"
#include "libposix/net/route.h"

namespace coracle::net {

namespace {

uint8_t family_of(const IpAddress& address) {
    return address.is_v4() ? AF_INET : AF_INET6;
}
bool wants(const DumpRequest& request, const IpAddress& address) {
    return request.family == AF_UNSPEC || request.family == family_of(address);
}
void put_address(MessageWriter& to, uint16_t type, const IpAddress& address) {
    if (address.is_v4()) {
        to.attribute(type, address.v4_bytes(), 4);
    } else {
        to.attribute(type, address.v6_bytes(), 16);
    }
}

rtnl_link_stats64 statistics_of(const InterfaceStatistics& from) {
    rtnl_link_stats64 to{};
    to.rx_packets = from.rx_packets;
    to.tx_packets = from.tx_packets;
    to.rx_bytes = from.rx_bytes;
    to.tx_bytes = from.tx_bytes;
    to.rx_errors = from.rx_errors;
    to.tx_errors = from.tx_errors;
    to.rx_dropped = from.rx_dropped;
    to.tx_dropped = from.tx_dropped;
    to.multicast = from.multicast;
    return to;
}

uint32_t seconds_left(uint64_t until_ns) {
    constexpr uint64_t kSecondNs = 1'000'000'000;
    if (until_ns == UINT64_MAX) return UINT32_MAX;
    uint64_t now = monotonic_ns();
    return until_ns <= now ? 0 : static_cast<uint32_t>((until_ns - now) / kSecondNs);
}

// struct ifa_cacheinfo.
struct Lifetimes {
    uint32_t preferred, valid, created, updated;
};

}  // namespace

bool write_link(MessageWriter& to, const DumpRequest& request, size_t number) {
    if (number >= interfaces().size()) return false;
    Interface& interface = *interfaces()[number];
    to.begin(RTM_NEWLINK, request.flags, request.sequence, request.port,
             ifinfomsg{AF_UNSPEC, 0, interface.hardware_type(), static_cast<int>(interface.index()),
                       interface.flags, 0});
    to.string_attribute(IFLA_IFNAME, interface.name());
    to.attribute(IFLA_TXQLEN, uint32_t{1000});
    constexpr uint8_t kOperUnknown = 0, kOperDown = 2, kOperUp = 6;  // RFC 2863
    bool is_running = interface.flags & IFF_RUNNING;
    to.attribute(IFLA_OPERSTATE, interface.is_loopback() ? kOperUnknown
                                 : is_running            ? kOperUp
                                                         : kOperDown);
    to.attribute(IFLA_LINKMODE, uint8_t{0});
    to.attribute(IFLA_MTU, interface.mtu);
    to.attribute(IFLA_GROUP, uint32_t{0});
    to.attribute(IFLA_PROMISCUITY, uint32_t{0});
    to.attribute(IFLA_NUM_TX_QUEUES, uint32_t{1});
    to.attribute(IFLA_NUM_RX_QUEUES, uint32_t{1});
    to.attribute(IFLA_CARRIER, uint8_t{is_running});
    to.string_attribute(IFLA_QDISC, interface.is_loopback() ? "noqueue" : "pfifo_fast");
    to.attribute(IFLA_ADDRESS, interface.mac);
    MacAddress broadcast{};
    if (!interface.is_loopback()) memset(broadcast.bytes, 0xff, sizeof(broadcast.bytes));
    to.attribute(IFLA_BROADCAST, broadcast);
    rtnl_link_stats64 statistics = statistics_of(interface.total_statistics());
    to.attribute(IFLA_STATS64, statistics);
    // The same in 32 bits each, which is what getifaddrs(3) shows.
    uint32_t narrow[sizeof(rtnl_link_stats) / 4] = {};
    const auto* wide = reinterpret_cast<const uint64_t*>(&statistics);
    for (size_t i = 0; i < std::size(narrow); i++) narrow[i] = static_cast<uint32_t>(wide[i]);
    to.attribute(IFLA_STATS, narrow, sizeof(narrow));
    to.end();
    return true;
}

bool write_address(MessageWriter& to, const DumpRequest& request, size_t number) {
    for (Interface* interface : interfaces()) {
        auto addresses = interface->addresses();
        if (number >= addresses.size()) {
            number -= addresses.size();
            continue;
        }
        const InterfaceAddress& entry = addresses[number];
        if (!wants(request, entry.address)) return true;
        uint32_t flags = (entry.is_permanent ? IFA_F_PERMANENT : 0) |
                         (entry.is_tentative ? IFA_F_TENTATIVE : 0) |
                         (entry.is_duplicate ? IFA_F_DADFAILED : 0);
        to.begin(RTM_NEWADDR, request.flags, request.sequence, request.port,
                 ifaddrmsg{family_of(entry.address), entry.prefix_length,
                           static_cast<uint8_t>(flags), entry.linux_scope(), interface->index()});
        put_address(to, IFA_ADDRESS, entry.address);
        if (entry.address.is_v4()) {
            put_address(to, IFA_LOCAL, entry.address);
            if (entry.broadcast.is_v4()) put_address(to, IFA_BROADCAST, entry.broadcast);
            to.string_attribute(IFA_LABEL, interface->name());
        }
        to.attribute(IFA_FLAGS, flags);
        to.attribute(IFA_CACHEINFO, Lifetimes{seconds_left(entry.preferred_until_ns),
                                              seconds_left(entry.valid_until_ns), 0, 0});
        to.end();
        return true;
    }
    return false;
}

bool write_route(MessageWriter& to, const DumpRequest& request, size_t number) {
    if (number >= routes().size()) return false;
    const RouteEntry& entry = routes()[number];
    if (!wants(request, entry.destination)) return true;
    bool is_direct = entry.gateway.is_any();
    bool is_v4 = entry.destination.is_v4();
    uint8_t scope = is_direct && is_v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    to.begin(RTM_NEWROUTE, request.flags, request.sequence, request.port,
             rtmsg{family_of(entry.destination), entry.prefix_length, 0, 0, RT_TABLE_MAIN,
                   entry.protocol, scope, RTN_UNICAST, 0});
    to.attribute(RTA_TABLE, uint32_t{RT_TABLE_MAIN});
    if (entry.prefix_length > 0) put_address(to, RTA_DST, entry.destination);
    if (entry.metric) to.attribute(RTA_PRIORITY, entry.metric);
    if (is_v4 && !entry.source.is_any()) put_address(to, RTA_PREFSRC, entry.source);
    if (!is_direct) put_address(to, RTA_GATEWAY, entry.gateway);
    to.attribute(RTA_OIF, entry.interface->index());
    to.end();
    return true;
}

bool write_neighbor(MessageWriter& to, const DumpRequest& request, size_t number) {
    if (number >= kMaxNeighbors) return false;
    const Neighbor* neighbor = neighbor_at(number);
    if (!neighbor || !wants(request, neighbor->address)) return true;
    to.begin(RTM_NEWNEIGH, request.flags, request.sequence, request.port,
             ndmsg{family_of(neighbor->address), 0, 0,
                   static_cast<int>(neighbor->interface->index()), neighbor->linux_state(),
                   neighbor->is_router ? uint8_t{NTF_ROUTER} : uint8_t{0}, RTN_UNICAST});
    put_address(to, NDA_DST, neighbor->address);
    bool has_mac =
        neighbor->state != NeighborState::kIncomplete && neighbor->state != NeighborState::kFailed;
    if (has_mac) to.attribute(NDA_LLADDR, neighbor->mac);
    to.end();
    return true;
}

void write_found_route(MessageWriter& to, const DumpRequest& request, const IpAddress& destination,
                       const Route& route) {
    uint8_t type = route.is_local               ? RTN_LOCAL
                   : destination.is_multicast() ? RTN_MULTICAST
                   : route.is_broadcast         ? RTN_BROADCAST
                                                : RTN_UNICAST;
    to.begin(RTM_NEWROUTE, 0, request.sequence, request.port,
             rtmsg{family_of(destination), full_prefix(destination), 0, 0,
                   route.is_local ? uint8_t{RT_TABLE_LOCAL} : uint8_t{RT_TABLE_MAIN}, RTPROT_UNSPEC,
                   RT_SCOPE_UNIVERSE, type, RTM_F_CLONED});
    put_address(to, RTA_DST, destination);
    if (!(route.next_hop == destination)) put_address(to, RTA_GATEWAY, route.next_hop);
    to.attribute(RTA_OIF, route.interface->index());
    put_address(to, RTA_PREFSRC, route.source);
    to.end();
}

}  // namespace coracle::net
