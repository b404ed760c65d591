#include "libposix/net/link/neighbor.h"

#include <linux/neighbour.h>
#include <net/ethernet.h>

#include <atomic>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/deferred_work.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/link/ethernet.h"

namespace coracle::net {

namespace {

// RFC 4861, 10; Linux uses them for ARP, too.
constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kReachableTimeNs = 30 * kSecondNs;
constexpr uint64_t kDelayFirstProbeNs = 5 * kSecondNs;
constexpr uint64_t kRetransmitNs = kSecondNs;
constexpr uint8_t kMaxProbes = 3;

Neighbor table[kMaxNeighbors];
constexpr size_t kBuckets = 256;
uint16_t buckets[kBuckets];  // index + 1

void tick(void*);
Timer timer(tick, nullptr);

size_t bucket_of(const IpAddress& address) {
    return mix_words(address.low() ^ 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93) % kBuckets;
}

Neighbor* find(const Interface& interface, const IpAddress& address) {
    for (uint16_t at = buckets[bucket_of(address)]; at; at = table[at - 1].next_in_bucket) {
        Neighbor& neighbor = table[at - 1];
        if (neighbor.address == address && neighbor.interface == &interface) return &neighbor;
    }
    return nullptr;
}

void drop_waiting(Neighbor& neighbor) {
    neighbor.waiting.clear();
    neighbor.waiting_count = 0;
}

void release(Neighbor& neighbor) {
    auto number = static_cast<uint16_t>(&neighbor - table + 1);
    uint16_t* link = &buckets[bucket_of(neighbor.address)];
    while (*link != number) link = &table[*link - 1].next_in_bucket;
    *link = neighbor.next_in_bucket;
    drop_waiting(neighbor);
    neighbor.state = NeighborState::kFree;
}

// A place for a new one: a free one, or that of the one unused for longest.
Neighbor& claim() {
    Neighbor* oldest = &table[0];
    for (Neighbor& neighbor : table) {
        if (neighbor.state == NeighborState::kFree) return neighbor;
        if (neighbor.used_ns < oldest->used_ns) oldest = &neighbor;
    }
    release(*oldest);
    return *oldest;
}

Neighbor& create(Interface& interface, const IpAddress& address) {
    Neighbor& neighbor = claim();
    uint16_t& bucket = buckets[bucket_of(address)];
    neighbor.interface = &interface;
    neighbor.address = address;
    neighbor.mac = {};
    neighbor.is_router = false;
    neighbor.probes = 0;
    neighbor.used_ns = monotonic_ns();
    neighbor.next_in_bucket = bucket;
    bucket = static_cast<uint16_t>(&neighbor - table + 1);
    return neighbor;
}

void enter(Neighbor& neighbor, NeighborState state) {
    neighbor.state = state;
    neighbor.changed_ns = monotonic_ns();
}

// Many CPUs may send to one neighbour: not written for each packet.
void note_use(Neighbor& neighbor, uint64_t now_ns) {
    std::atomic_ref used(neighbor.used_ns);
    if (now_ns - used.load(std::memory_order_relaxed) > kSecondNs) {
        used.store(now_ns, std::memory_order_relaxed);
    }
}

bool wants_ticks(const Neighbor& neighbor) {
    return neighbor.state == NeighborState::kIncomplete ||
           neighbor.state == NeighborState::kDelay || neighbor.state == NeighborState::kProbe;
}

void start_ticking() {
    if (!timer.is_active()) timer.start(monotonic_ns() + kRetransmitNs);
}

void ask(Neighbor& neighbor) {
    neighbor.probes++;
    const MacAddress* unicast = neighbor.state == NeighborState::kProbe ? &neighbor.mac : nullptr;
    if (neighbor.address.is_v4()) {
        send_arp_request(*neighbor.interface, neighbor.address, unicast);
    } else {
        send_neighbor_solicitation(*neighbor.interface, neighbor.address, unicast);
    }
    start_ticking();
}

void fail(Neighbor& neighbor) {
    enter(neighbor, NeighborState::kFailed);
    BufferQueue undelivered;
    while (BufferPtr packet = neighbor.waiting.pop_front())
        undelivered.push_back(std::move(packet));
    neighbor.waiting_count = 0;
    while (BufferPtr packet = undelivered.pop_front()) {
        report_undeliverable(std::move(packet), EHOSTUNREACH);
    }
}

void tick(void*) {
    uint64_t now = monotonic_ns();
    bool more = false;
    for (Neighbor& neighbor : table) {
        if (!wants_ticks(neighbor)) continue;
        if (neighbor.state == NeighborState::kDelay) {
            if (now - neighbor.changed_ns >= kDelayFirstProbeNs) {
                enter(neighbor, NeighborState::kProbe);
                neighbor.probes = 0;
                ask(neighbor);
            }
        } else if (neighbor.probes >= kMaxProbes) {
            fail(neighbor);
        } else {
            ask(neighbor);
        }
        more = more || wants_ticks(neighbor);
    }
    if (more) start_ticking();
}

void flush(Neighbor& neighbor) {
    uint16_t protocol = neighbor.address.is_v4() ? ETHERTYPE_IP : ETHERTYPE_IPV6;
    BufferQueue ready;
    while (BufferPtr packet = neighbor.waiting.pop_front()) ready.push_back(std::move(packet));
    neighbor.waiting_count = 0;
    MacAddress mac = neighbor.mac;
    Interface& interface = *neighbor.interface;
    while (BufferPtr packet = ready.pop_front()) {
        send_ethernet(interface, mac, protocol, std::move(packet));
    }
}

void queue(Neighbor& neighbor, BufferPtr packet) {
    // The oldest goes (RFC 1122, 2.3.2.2; RFC 4861, 7.2.2).
    if (neighbor.waiting_count == kMaxWaitingPackets) {
        neighbor.waiting.pop_front();
        neighbor.waiting_count--;
        neighbor.interface->statistics().tx_dropped++;
    }
    neighbor.waiting.push_back(std::move(packet));
    neighbor.waiting_count++;
}

// Packets for which more must be changed than may be under the kernel lock held locally: the state of
// the neighbour, or packet sockets that listen in.
struct NextHop {
    Interface* interface;
    IpAddress address;
};
LocalLock deferred_lock;
BufferQueue deferred;

bool is_heard_of(const Neighbor* neighbor, uint64_t now) {
    if (!neighbor) return false;
    return neighbor->state == NeighborState::kReachable
               ? now - neighbor->changed_ns < kReachableTimeNs
               : neighbor->state == NeighborState::kDelay ||
                     neighbor->state == NeighborState::kProbe;
}

void defer(Interface& interface, const IpAddress& address, BufferPtr packet) {
    packet->control<NextHop>() = {&interface, address};
    LocalLockGuard guard(deferred_lock);
    deferred.push_back(std::move(packet));
    do_deferred_work();
}

}  // namespace

uint16_t Neighbor::linux_state() const {
    switch (state) {
        case NeighborState::kFree:
            return NUD_NONE;
        case NeighborState::kIncomplete:
            return NUD_INCOMPLETE;
        case NeighborState::kReachable:
            return NUD_REACHABLE;
        case NeighborState::kStale:
            return NUD_STALE;
        case NeighborState::kDelay:
            return NUD_DELAY;
        case NeighborState::kProbe:
            return NUD_PROBE;
        case NeighborState::kFailed:
            return NUD_FAILED;
    }
    return NUD_NONE;
}

Neighbor* neighbor_at(size_t index) {
    return table[index].state == NeighborState::kFree ? nullptr : &table[index];
}

void clear_neighbors() {
    for (Neighbor& neighbor : table) {
        if (neighbor.state != NeighborState::kFree) release(neighbor);
    }
    timer.cancel();
}

void send_deferred_packets() {
    while (!deferred.is_empty()) {
        BufferPtr packet = deferred.pop_front();
        const NextHop next_hop = packet->control<NextHop>();
        send_to_neighbor(*next_hop.interface, next_hop.address, std::move(packet));
    }
}

void send_to_neighbor(Interface& interface, const IpAddress& address, BufferPtr packet) {
    Neighbor* neighbor = find(interface, address);
    uint64_t now = monotonic_ns();
    if (holds_lock_locally() && (frame_tap || !is_heard_of(neighbor, now))) {
        return defer(interface, address, std::move(packet));
    }
    if (!neighbor || neighbor->state == NeighborState::kFailed) {
        if (!neighbor) {
            neighbor = &create(interface, address);
        }
        neighbor->used_ns = now;
        neighbor->probes = 0;
        enter(*neighbor, NeighborState::kIncomplete);
        queue(*neighbor, std::move(packet));
        ask(*neighbor);
        return;
    }
    note_use(*neighbor, now);
    switch (neighbor->state) {
        case NeighborState::kIncomplete:
            queue(*neighbor, std::move(packet));
            return;
        case NeighborState::kReachable:
            if (now - neighbor->changed_ns < kReachableTimeNs) break;
            [[fallthrough]];
        case NeighborState::kStale:
            enter(*neighbor, NeighborState::kDelay);
            start_ticking();
            break;
        default:
            break;
    }
    send_ethernet(interface, neighbor->mac, address.is_v4() ? ETHERTYPE_IP : ETHERTYPE_IPV6,
                  std::move(packet));
}

void neighbor_heard(Interface& interface, const IpAddress& address, const MacAddress& mac,
                    const NeighborNews& news) {
    if (mac.is_group()) return;
    Neighbor* neighbor = find(interface, address);
    if (!neighbor) {
        if (!news.may_create) return;
        neighbor = &create(interface, address);
        neighbor->mac = mac;
        neighbor->is_router = news.is_router;
        enter(*neighbor, NeighborState::kStale);
        return;
    }
    bool was_known =
        neighbor->state != NeighborState::kIncomplete && neighbor->state != NeighborState::kFailed;
    bool changed = was_known && !(neighbor->mac == mac);
    if (changed && !news.may_override) {
        // RFC 4861, 7.2.5: then what we have is in doubt, no more.
        if (neighbor->state == NeighborState::kReachable) enter(*neighbor, NeighborState::kStale);
        return;
    }
    neighbor->mac = mac;
    if (news.is_router) neighbor->is_router = true;
    if (news.is_solicited) {
        enter(*neighbor, NeighborState::kReachable);
    } else if (!was_known || changed) {
        enter(*neighbor, NeighborState::kStale);
    }
    neighbor->probes = 0;
    flush(*neighbor);
}

}  // namespace coracle::net
