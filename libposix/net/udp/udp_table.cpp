#include "libposix/net/udp/udp_table.h"

#include "kernel-min/lib/random.h"
#include "libposix/net/udp/udp_header.h"

namespace coracle::net {

namespace {

UdpList table[2][kUdpBuckets];  // of UDP, of UDP-Lite

// net.ipv4.ip_local_port_range.
constexpr uint16_t kFirstEphemeral = 32768, kLastEphemeral = 60999;

// Whether both could get the same datagram (Linux's inet_rcv_saddr_equal).
bool addresses_overlap(const UdpSocket& a, const IpAddress& a_address, const UdpSocket& b,
                       const IpAddress& b_address) {
    // A wildcard of IPv6 takes IPv4, too, unless it is told not to.
    auto covers = [](const UdpSocket& socket, const IpAddress& address, bool v4) {
        return address.is_any() &&
               (v4 == address.is_v4() || (v4 && address.is_v6() && !socket.inet().v6_only));
    };
    if (a_address == b_address) return true;
    if (a_address.is_any() && b_address.is_any()) {
        return covers(a, a_address, b_address.is_v4()) || covers(b, b_address, a_address.is_v4());
    }
    if (a_address.is_any()) return covers(a, a_address, b_address.is_v4());
    if (b_address.is_any()) return covers(b, b_address, a_address.is_v4());
    return false;
}

bool conflicts(const UdpSocket& socket, const Endpoint& local) {
    for (const UdpSocket& other : udp_bucket(local.port, socket.is_lite())) {
        if (&other == &socket || other.local().port != local.port) continue;
        int device = socket.options.bound_device, other_device = other.options.bound_device;
        if (device && other_device && device != other_device) continue;
        if (socket.reuses_address() && other.reuses_address()) continue;
        if (socket.reuses_port() && other.reuses_port() && socket.user() == other.user()) continue;
        if (addresses_overlap(socket, local.address, other, other.local().address)) return true;
    }
    return false;
}

// -1: not for it.
int score(const UdpSocket& socket, const Endpoint& remote, const Endpoint& local,
          uint32_t interface_index) {
    if (socket.local().port != local.port) return -1;
    bool is_v4 = local.address.is_v4();
    if (is_v4 ? socket.inet().v6_only : socket.family() == AF_INET) return -1;
    int points = socket.family() == (is_v4 ? AF_INET : AF_INET6) ? 1 : 0;
    const IpAddress& bound = socket.local().address;
    if (!bound.is_any()) {
        if (!(bound == local.address)) return -1;
        points += 4;
    } else if (bound.is_v4() && !is_v4) {
        return -1;
    }
    if (socket.is_connected()) {
        if (!(socket.remote().address == remote.address) || socket.remote().port != remote.port) {
            return -1;
        }
        points += 8;
    }
    if (socket.options.bound_device) {
        if (static_cast<uint32_t>(socket.options.bound_device) != interface_index) return -1;
        points += 4;
    }
    return points;
}

// Sharers lie with the latest first, and are numbered from the first that came.
UdpSocket* choose_by_program(const BpfProgram& program, const Buffer& packet, uint32_t count,
                             const UdpSocket& best) {
    uint32_t index = program.run({.chain = packet, .start = kUdpHeaderSize});
    if (index >= count) return nullptr;
    UdpSocket* chosen = nullptr;
    index = count - index;
    for_each_sharer(best, [&](UdpSocket& socket) {
        if (--index == 0) chosen = &socket;
    });
    return chosen;
}

}  // namespace

UdpList& udp_bucket(size_t port, bool is_lite) {
    return table[is_lite][port % kUdpBuckets];
}

UdpSocket* find_udp_socket(const Endpoint& remote, const Endpoint& local, uint32_t interface_index,
                           const Buffer* packet, bool is_lite) {
    UdpSocket* best = nullptr;
    int best_score = -1;
    uint32_t equals = 0;
    for (UdpSocket& socket : udp_bucket(local.port, is_lite)) {
        int points = score(socket, remote, local, interface_index);
        if (points < 0 || points < best_score) continue;
        if (points > best_score) {
            best = &socket;
            best_score = points;
            equals = 1;
        } else if (socket.reuses_port() && best->reuses_port()) {
            equals++;
        }
    }
    if (equals <= 1 || !best->reuses_port()) return best;
    if (best->reuseport_program && packet) {
        UdpSocket* chosen = choose_by_program(*best->reuseport_program, *packet, equals, *best);
        if (chosen) return chosen;
    }
    // A flow stays with its socket.
    static const uint64_t secret = random_u64();
    uint64_t chosen = hash_flow({local, remote}, secret) % equals;
    for (UdpSocket& socket : udp_bucket(local.port, is_lite)) {
        if (score(socket, remote, local, interface_index) != best_score || !socket.reuses_port()) {
            continue;
        }
        if (chosen-- == 0) return &socket;
    }
    return best;
}

void leave_sharers(UdpSocket& socket) {
    UdpSocket* latest = nullptr;
    for_each_sharer(socket, [&](UdpSocket& other) {
        if (!latest) latest = &other;
    });
    if (!latest || latest == &socket) return;
    UdpList& list = udp_bucket(socket.local().port, socket.is_lite());
    latest->unlink();
    list.insert(list.iterator_to(socket), *latest);
}

bool accepts_group(const UdpSocket& socket, const Endpoint& remote, const Endpoint& local,
                   uint32_t interface_index) {
    if (score(socket, remote, local, interface_index) < 0) return false;
    if (!local.address.is_multicast()) return true;
    const InetOptions& inet = socket.inet();
    if (inet.is_member(local.address, interface_index)) return true;
    // Without a membership of its own, what anybody on this machine has joined.
    return inet.membership_count == 0 &&
           (local.address.is_v4() ? inet.multicast_all : inet.v6_multicast_all);
}

Result<void> claim_udp_port(UdpSocket& socket, Endpoint& local) {
    if (local.port != 0) {
        if (conflicts(socket, local)) return Error(EADDRINUSE);
    } else {
        constexpr uint32_t kCount = kLastEphemeral - kFirstEphemeral + 1;
        auto start = static_cast<uint32_t>(random_u64() % kCount);
        uint32_t tried = 0;
        do {
            if (tried == kCount) return Error(EADDRINUSE);
            local.port = static_cast<uint16_t>(kFirstEphemeral + (start + tried++) % kCount);
        } while (conflicts(socket, local));
    }
    socket.unlink();
    // Those who share the port already have decided on the program.
    for (UdpSocket& other : udp_bucket(local.port, socket.is_lite())) {
        if (socket.reuses_port() && other.reuses_port() && other.local() == local &&
            other.options.bound_device == socket.options.bound_device) {
            socket.reuseport_program = other.reuseport_program;
            break;
        }
    }
    udp_bucket(local.port, socket.is_lite()).push_front(socket);
    return {};
}

}  // namespace coracle::net
