#include "libposix/net/inet/stream_ports.h"

#include "kernel-min/lib/random.h"
#include "libposix/net/inet/tcp_host.h"

namespace coracle::net {

namespace {

using tcp::PortSharing;

constexpr size_t kBuckets = 256;
using PortList = boost::intrusive::list<StreamSocket, boost::intrusive::constant_time_size<false>>;
PortList* buckets;

PortList* bucket_of(uint16_t port) {
    if (!buckets) buckets = new (std::nothrow) PortList[kBuckets];
    return buckets ? &buckets[port % kBuckets] : nullptr;
}

// Whether a segment could be meant for both (inet_rcv_saddr_equal).
bool addresses_overlap(const IpAddress& a, bool a_is_v6_only, const IpAddress& b,
                       bool b_is_v6_only) {
    if (a == b) return true;
    auto covers = [](const IpAddress& wildcard, bool v6_only, const IpAddress& other) {
        if (!wildcard.is_any()) return false;
        if (wildcard.is_v4()) return other.is_v4();
        return other.is_v6() || !v6_only;
    };
    return covers(a, a_is_v6_only, b) || covers(b, b_is_v6_only, a);
}

bool may_share(const PortSharing& a, const PortSharing& b, bool other_listens) {
    if (a.reuses_address && b.reuses_address && !other_listens) return true;
    return a.reuses_port && b.reuses_port && a.user == b.user;
}

// Connections and their remains, those of closed sockets included.
bool flows_conflict(const StreamSocket& socket, const Endpoint& local) {
    bool conflict = false;
    PortSharing sharing = socket.sharing();
    tcp_stack().for_each_flow([&](const tcp::Flow& flow) {
        if (flow.key.local.port != local.port || flow.kind == tcp::FlowKind::kHalfOpen) return;
        const PortSharing* other = nullptr;
        if (flow.kind == tcp::FlowKind::kTimeWait) {
            other = &static_cast<const tcp::TimeWait&>(flow).sharing;
        } else {
            other = &static_cast<const tcp::Connection&>(flow).options.sharing;
        }
        conflict |=
            !may_share(sharing, *other, false) &&
            addresses_overlap(local.address, socket.is_v6_only(), flow.key.local.address, true);
    });
    return conflict;
}

bool sockets_conflict(const StreamSocket& socket, const Endpoint& local, PortList& bucket) {
    for (const StreamSocket& other : bucket) {
        if (&other == &socket || other.local().port != local.port) continue;
        int device = socket.options.bound_device, other_device = other.options.bound_device;
        if (device && other_device && device != other_device) continue;
        if (may_share(socket.sharing(), other.sharing(), other.is_listening())) continue;
        if (addresses_overlap(local.address, socket.is_v6_only(), other.local().address,
                              other.is_v6_only())) {
            return true;
        }
    }
    return false;
}

}  // namespace

Result<void> claim_stream_port(StreamSocket& socket, Endpoint& local) {
    constexpr uint32_t kCount = kLastEphemeralPort - kFirstEphemeralPort + 1;
    auto start = static_cast<uint32_t>(random_u64() % kCount);
    bool chooses = local.port == 0;
    for (uint32_t tried = 0;; tried++) {
        if (chooses) {
            if (tried == kCount) return Error(EADDRINUSE);
            local.port = static_cast<uint16_t>(kFirstEphemeralPort + (start + tried) % kCount);
        }
        PortList* bucket = bucket_of(local.port);
        if (!bucket) return Error(ENOMEM);
        if (!sockets_conflict(socket, local, *bucket) && !flows_conflict(socket, local)) {
            socket.unlink();
            bucket->push_front(socket);
            return {};
        }
        if (!chooses) return Error(EADDRINUSE);
    }
}

Result<void> check_listen(const StreamSocket& socket) {
    PortList* bucket = bucket_of(socket.local().port);
    if (!bucket || sockets_conflict(socket, socket.local(), *bucket)) return Error(EADDRINUSE);
    return {};
}

Result<void> choose_connection_port(FlowKey& flow) {
    constexpr uint32_t kCount = kLastEphemeralPort - kFirstEphemeralPort + 1;
    auto start = static_cast<uint32_t>(random_u64() % kCount);
    for (uint32_t tried = 0; tried < kCount; tried++) {
        flow.local.port = static_cast<uint16_t>(kFirstEphemeralPort + (start + tried) % kCount);
        PortList* bucket = bucket_of(flow.local.port);
        if (!bucket) return Error(ENOMEM);
        bool is_bound = false;
        for (const StreamSocket& other : *bucket) {
            is_bound |= other.local().port == flow.local.port;
        }
        if (!is_bound && tcp_stack().is_flow_free(flow)) return {};
    }
    return Error(EADDRNOTAVAIL);
}

}  // namespace coracle::net
