// Neighbours: the link addresses of the hosts on an Ethernet, by ARP (RFC 826) and NDP (RFC 4861).
// Both protocols share one table and the states of RFC 4861, 7.3.2, as on Linux.
#pragma once

#include <cstdint>

#include "libposix/net/interface.h"

namespace coracle::net {

enum class NeighborState : uint8_t {
    kFree,
    kIncomplete,  // asked; packets wait
    kReachable,   // heard of within the last half minute
    kStale,       // will be asked again when it is used
    kDelay,       // used while stale: asked in 5 s unless it is heard of
    kProbe,       // being asked, by its old link address
    kFailed,      // never answered
};

struct Neighbor {
    Interface* interface = nullptr;
    IpAddress address;
    MacAddress mac;
    NeighborState state = NeighborState::kFree;
    bool is_router = false;
    uint8_t probes = 0;
    uint8_t waiting_count = 0;
    uint16_t next_in_bucket = 0;  // index + 1
    uint64_t changed_ns = 0;      // when `state` was entered or confirmed
    uint64_t used_ns = 0;         // last, give or take a second
    BufferQueue waiting;

    uint16_t linux_state() const;  // NUD_*
};

constexpr size_t kMaxNeighbors = 256;
constexpr size_t kMaxWaitingPackets = 64;  // one burst, for each neighbour

// Sends an IP packet to a neighbour on this Ethernet, now or when its link address is known. If it
// never is, local senders are told EHOSTUNREACH.
void send_to_neighbor(Interface& interface, const IpAddress& address, BufferPtr packet);

// Deferred work (deferred_work.h): the packets of connections at home whose neighbour must be asked.
void send_deferred_packets();

// What a packet from the network said. Only answers to our questions make an entry reachable
// (RFC 4861, 7.2.5); `may_create`: we were asked for ourselves, so we shall need it.
struct NeighborNews {
    bool is_solicited, may_create, may_override = true, is_router = false;
};
void neighbor_heard(Interface& interface, const IpAddress& address, const MacAddress& mac,
                    const NeighborNews& news);

// Calls visit(const Neighbor&) for each that is known.
Neighbor* neighbor_at(size_t index);  // null: none there
template <typename Visit>
void for_each_neighbor(Visit visit) {
    for (size_t i = 0; i < kMaxNeighbors; i++) {
        if (const Neighbor* neighbor = neighbor_at(i)) visit(*neighbor);
    }
}
// Forgets all, with what waits for them.
void clear_neighbors();

// The questions. `unicast`: to the address that was known; else to all.
void send_arp_request(Interface& interface, const IpAddress& target, const MacAddress* unicast);
void send_neighbor_solicitation(Interface& interface, const IpAddress& target,
                                const MacAddress* unicast);

// A frame from its ARP header on.
void arp_input(BufferPtr packet, Interface& interface);

}  // namespace coracle::net
