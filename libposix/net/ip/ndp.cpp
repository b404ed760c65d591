// Neighbour discovery (RFC 4861) and stateless address configuration (RFC 4862).
#include <linux/rtnetlink.h>

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/network.h"
#include "libposix/net/prefix.h"

namespace coracle::net {

namespace {

constexpr uint8_t kRouterSolicitation = 133, kRouterAdvertisement = 134,
                  kNeighborSolicitation = 135, kNeighborAdvertisement = 136;
constexpr uint8_t kSourceLinkAddress = 1, kTargetLinkAddress = 2, kPrefixInformation = 3, kMtu = 5;
constexpr uint32_t kIsRouter = 1u << 31, kIsSolicited = 1u << 30, kOverrides = 1u << 29;
constexpr uint8_t kOnLink = 0x80, kAutonomous = 0x40;
constexpr uint8_t kMessageHopLimit = 255;  // proves that no router was between (RFC 4861, 3.1)

// RFC 4861, 10.
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kSolicitationIntervalNs = 4 * kSecondNs;
constexpr int kMaxSolicitations = 3;
constexpr uint64_t kTwoHoursNs = 7200 * kSecondNs;
constexpr uint32_t kForever = UINT32_MAX;

// RFC 4291, 2.7.1: ff02::1, ff02::2.
IpAddress link_group(uint8_t number) {
    const uint8_t bytes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number};
    return IpAddress::from_v6_bytes(bytes);
}
IpAddress all_nodes() {
    return link_group(1);
}
IpAddress all_routers() {
    return link_group(2);
}

struct Discovery {
    Interface* interface = nullptr;
    int sent = 0;
    bool is_answered = false;
};
Discovery discovery;
void solicit_routers(void*);
Timer solicitation_timer(solicit_routers, nullptr);

// While anything has a lifetime.
constexpr uint64_t kExpiryIntervalNs = kSecondNs;
void expire(void*);
Timer expiry_timer(expire, nullptr);

// RFC 4291, 2.7.1.
IpAddress solicited_node(const IpAddress& address) {
    uint8_t bytes[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    memcpy(bytes + 13, address.v6_bytes() + 13, 3);
    return IpAddress::from_v6_bytes(bytes);
}

// RFC 4291, appendix A: the interface identifier from the Ethernet address.
IpAddress address_with_prefix(const uint8_t* prefix, const MacAddress& mac) {
    uint8_t bytes[16];
    memcpy(bytes, prefix, 8);
    const uint8_t identifier[8] = {static_cast<uint8_t>(mac.bytes[0] ^ 2),
                                   mac.bytes[1],
                                   mac.bytes[2],
                                   0xff,
                                   0xfe,
                                   mac.bytes[3],
                                   mac.bytes[4],
                                   mac.bytes[5]};
    memcpy(bytes + 8, identifier, 8);
    return IpAddress::from_v6_bytes(bytes);
}

// The options of a message: calls visit(type, option, size), `size` a multiple of 8. False: they
// are malformed (RFC 4861, 4.6).
template <typename Visit>
bool for_each_option(const uint8_t* options, size_t size, Visit visit) {
    while (size > 0) {
        if (size < 8) return false;
        size_t length = options[1] * size_t{8};
        if (length == 0 || length > size) return false;
        visit(options[0], options, length);
        options += length;
        size -= length;
    }
    return true;
}

const MacAddress* find_mac(const uint8_t* options, size_t size, uint8_t wanted, MacAddress& to,
                           bool* good) {
    const MacAddress* found = nullptr;
    *good = for_each_option(options, size, [&](uint8_t type, const uint8_t* option, size_t) {
        if (type != wanted) return;
        memcpy(to.bytes, option + 2, 6);
        found = &to;
    });
    return found;
}

void send(Interface& interface, uint8_t type, const uint8_t* body, size_t size,
          const IpAddress& source, const IpAddress& destination, const uint8_t* link_option,
          uint8_t link_option_type) {
    BufferPtr message = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
    if (!message) return;
    uint8_t* icmp = message->append(4 + size + (link_option ? 8 : 0));
    icmp[0] = type;
    icmp[1] = 0;
    memcpy(icmp + 4, body, size);
    if (link_option) {
        icmp[4 + size] = link_option_type;
        icmp[5 + size] = 1;
        memcpy(icmp + 6 + size, link_option, 6);
    }
    send_icmpv6(std::move(message), {.source = source,
                                     .destination = destination,
                                     .protocol = IPPROTO_ICMPV6,
                                     .hop_limit = kMessageHopLimit,
                                     .interface_index = interface.index(),
                                     .loops_multicast = false,
                                     .source_is_chosen = true});
}

void solicitation_input(const uint8_t* icmp, size_t size, const IpInput& how) {
    if (size < 24) return;
    IpAddress target = IpAddress::from_v6_bytes(icmp + 8);
    MacAddress mac;
    bool good;
    const MacAddress* source_mac = find_mac(icmp + 24, size - 24, kSourceLinkAddress, mac, &good);
    // 7.1.1: from nobody only to the solicited-node group, and without a link address.
    if (!good || target.is_multicast() || (how.source.is_any() && source_mac)) return;
    InterfaceAddress* own = how.interface->find_address(target);
    if (!own) return;
    Interface& interface = *how.interface;
    if (how.source.is_any()) {
        // RFC 4862, 5.4.3: another node tries our address. Ours is older: defend it.
        if (own->is_tentative) {
            own->is_duplicate = true;
            routes_changed();
            return;
        }
    } else if (source_mac) {
        neighbor_heard(interface, how.source, *source_mac,
                       {.is_solicited = false, .may_create = true});
    }
    uint8_t body[20];
    write_be32(body, kOverrides | (how.source.is_any() ? 0 : kIsSolicited));
    memcpy(body + 4, target.v6_bytes(), 16);
    send(interface, kNeighborAdvertisement, body, sizeof(body), target,
         how.source.is_any() ? all_nodes() : how.source, interface.mac.bytes, kTargetLinkAddress);
}

void advertisement_input(const uint8_t* icmp, size_t size, const IpInput& how) {
    if (size < 24) return;
    uint32_t flags = read_be32(icmp + 4);
    IpAddress target = IpAddress::from_v6_bytes(icmp + 8);
    MacAddress mac;
    bool good;
    const MacAddress* target_mac = find_mac(icmp + 24, size - 24, kTargetLinkAddress, mac, &good);
    if (!good || target.is_multicast() || (how.is_broadcast && flags & kIsSolicited)) return;
    if (InterfaceAddress* own = how.interface->find_address(target)) {
        // RFC 4862, 5.4.4: somebody else has it.
        if (!own->is_permanent && !(target_mac && *target_mac == how.interface->mac)) {
            own->is_duplicate = true;
            routes_changed();
        }
        return;
    }
    if (!target_mac) return;
    neighbor_heard(*how.interface, target, *target_mac,
                   {.is_solicited = (flags & kIsSolicited) != 0,
                    .may_create = false,
                    .may_override = (flags & kOverrides) != 0,
                    .is_router = (flags & kIsRouter) != 0});
}

uint64_t lifetime_end(uint32_t seconds) {
    if (seconds != kForever && !expiry_timer.is_active()) {
        expiry_timer.start(monotonic_ns() + kExpiryIntervalNs);
    }
    return seconds == kForever ? UINT64_MAX : monotonic_ns() + seconds * kSecondNs;
}

void prefix_input(Interface& interface, const uint8_t* option) {
    uint8_t length = option[2], flags = option[3];
    uint32_t valid = read_be32(option + 4), preferred = read_be32(option + 8);
    IpAddress prefix = IpAddress::from_v6_bytes(option + 16);
    if (prefix.is_link_local() || prefix.is_multicast() || preferred > valid || length > 128)
        return;
    if (flags & kOnLink) {
        prefix = mask_address(prefix, length);
        if (valid == 0) {
            remove_route(prefix, length, &interface, IpAddress::any_v6());
        } else {
            (void)add_route({.destination = prefix,
                             .prefix_length = length,
                             .gateway = IpAddress::any_v6(),
                             .interface = &interface,
                             .metric = 256,
                             .protocol = RTPROT_KERNEL,
                             .valid_until_ns = lifetime_end(valid)})
                .ok();
        }
    }
    // RFC 4862, 5.5.3.
    if (!(flags & kAutonomous) || length != 64) return;
    IpAddress address = address_with_prefix(prefix.v6_bytes(), interface.mac);
    if (InterfaceAddress* known = interface.find_address(address)) {
        if (known->is_permanent) return;
        uint64_t end = lifetime_end(valid), now = monotonic_ns();
        // (e): nobody may end an address's life within two hours without a key.
        if (end < known->valid_until_ns && end < now + kTwoHoursNs) {
            end = std::min(known->valid_until_ns, now + kTwoHoursNs);
        }
        known->valid_until_ns = end;
        known->preferred_until_ns = lifetime_end(preferred);
        return;
    }
    if (valid == 0) return;
    bool added = interface
                     .add_address({.address = address,
                                   .prefix_length = length,
                                   .broadcast = {},
                                   .is_permanent = false,
                                   .valid_until_ns = lifetime_end(valid),
                                   .preferred_until_ns = lifetime_end(preferred)})
                     .ok();
    if (!added) return;
    (void)interface.join_group(solicited_node(address)).ok();
    probe_address(interface, address);
}

void router_input(const uint8_t* icmp, size_t size, const IpInput& how) {
    if (size < 16 || !how.source.is_link_local()) return;
    Interface& interface = *how.interface;
    if (!for_each_option(icmp + 16, size - 16, [](uint8_t, const uint8_t*, size_t) {})) return;
    if (discovery.interface == &interface) {
        discovery.is_answered = true;
        solicitation_timer.cancel();
    }
    if (icmp[4]) interface.hop_limit_v6 = icmp[4];
    uint32_t lifetime = read_be16(icmp + 6);
    if (lifetime > 0) {
        (void)add_route({.destination = IpAddress::any_v6(),
                         .prefix_length = 0,
                         .gateway = how.source,
                         .interface = &interface,
                         .metric = 1024,
                         .protocol = RTPROT_RA,
                         .valid_until_ns = lifetime_end(lifetime)})
            .ok();
    } else {
        remove_route(IpAddress::any_v6(), 0, &interface, how.source);
    }
    for_each_option(icmp + 16, size - 16, [&](uint8_t type, const uint8_t* option, size_t length) {
        if (type == kSourceLinkAddress) {
            MacAddress mac;
            memcpy(mac.bytes, option + 2, 6);
            neighbor_heard(interface, how.source, mac,
                           {.is_solicited = false, .may_create = true, .is_router = true});
        } else if (type == kPrefixInformation && length == 32) {
            prefix_input(interface, option);
        } else if (type == kMtu) {
            uint32_t mtu = read_be32(option + 4);
            if (mtu >= ipv6::kMinimumMtu && mtu <= interface.mtu) {
                interface.mtu_v6 = mtu;
                routes_changed();
            }
        }
    });
}

void solicit_routers(void*) {
    NetworkScope scope;
    if (discovery.is_answered || discovery.sent == kMaxSolicitations) return;
    discovery.sent++;
    const uint8_t body[4] = {};
    Interface& interface = *discovery.interface;
    const InterfaceAddress* own = interface.choose_source(all_routers());
    send(interface, kRouterSolicitation, body, sizeof(body),
         own ? own->address : IpAddress::any_v6(), all_routers(),
         own ? interface.mac.bytes : nullptr, kSourceLinkAddress);
    solicitation_timer.start(monotonic_ns() + kSolicitationIntervalNs);
}

}  // namespace

// RFC 4429: an address may be used while it is probed; ours come from the Ethernet address or from
// the host, so a duplicate is unlikely.
void probe_address(Interface& interface, const IpAddress& address) {
    uint8_t body[20] = {};
    memcpy(body + 4, address.v6_bytes(), 16);
    send(interface, kNeighborSolicitation, body, sizeof(body), IpAddress::any_v6(),
         solicited_node(address), nullptr, 0);
}

void send_neighbor_solicitation(Interface& interface, const IpAddress& target,
                                const MacAddress* unicast) {
    const InterfaceAddress* own = interface.choose_source(target);
    if (!own) return;
    uint8_t body[20] = {};
    memcpy(body + 4, target.v6_bytes(), 16);
    send(interface, kNeighborSolicitation, body, sizeof(body), own->address,
         unicast ? target : solicited_node(target), interface.mac.bytes, kSourceLinkAddress);
}

void start_ipv6(Interface& interface) {
    const uint8_t link_local[8] = {0xfe, 0x80};
    (void)interface.join_group(all_nodes()).ok();
    IpAddress address = address_with_prefix(link_local, interface.mac);
    bool added = interface
                     .add_address({.address = address,
                                   .prefix_length = 64,
                                   .broadcast = {},
                                   .is_permanent = true})
                     .ok();
    if (added) {
        (void)interface.join_group(solicited_node(address)).ok();
        probe_address(interface, address);
    }
    discovery = {.interface = &interface};
    solicit_routers(nullptr);
}

void join_solicited_node(Interface& interface, const IpAddress& address) {
    (void)interface.join_group(solicited_node(address)).ok();
}

void ndp_input(uint8_t type, BufferPtr packet, const IpInput& how) {
    // Messages are short; an honest one is in one piece.
    const uint8_t* icmp = packet->data();
    size_t size = packet->length();
    if (how.hop_limit != kMessageHopLimit || packet->next() || icmp[1] != 0) return;
    switch (type) {
        case kNeighborSolicitation:
            solicitation_input(icmp, size, how);
            break;
        case kNeighborAdvertisement:
            advertisement_input(icmp, size, how);
            break;
        case kRouterAdvertisement:
            router_input(icmp, size, how);
            break;
        default:
            break;
    }
}

namespace {

void expire(void*) {
    NetworkScope scope;
    uint64_t now = monotonic_ns();
    bool more = false;
    for (Interface* interface : interfaces()) {
        for (size_t i = interface->addresses().size(); i-- > 0;) {
            InterfaceAddress address = interface->addresses()[i];
            if (address.valid_until_ns <= now) interface->remove_address(address.address);
            more = more || address.valid_until_ns != UINT64_MAX;
        }
    }
    for (size_t i = routes().size(); i-- > 0;) {
        RouteEntry entry = routes()[i];
        more = more || entry.valid_until_ns != UINT64_MAX;
        if (entry.valid_until_ns > now) continue;
        remove_route(entry.destination, entry.prefix_length, entry.interface, entry.gateway);
    }
    if (more) expiry_timer.start(now + kExpiryIntervalNs);
}

}  // namespace

}  // namespace coracle::net
