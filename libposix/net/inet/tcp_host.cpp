#include "libposix/net/inet/tcp_host.h"

#include <netinet/in.h>

#include "kernel-min/lib/random.h"
#include "kernel-min/sched/per_cpu.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/inet/inet_family.h"
#include "libposix/net/inet/stream_socket.h"
#include "libposix/net/inet/tcp_filter.h"
#include "libposix/net/ip.h"
#include "libposix/net/ip/ip_input.h"

namespace coracle::net {

namespace {

// What is left of an IPv4 packet of 65,535 bytes. IP cuts for devices that cannot.
constexpr uint32_t kLargestSegment = 65535 - 20 - 60;

class TcpHost final : public tcp::Environment {
  public:
    tcp::PathProperties path(const FlowKey& flow, const tcp::IpChoices& choices,
                             tcp::PathCache& cache) override {
        const Route* route = find(flow, choices, path_of(cache));
        if (!route) return {};
        return {route->mtu, kLargestSegment, true, route->is_local};
    }

    void output(BufferPtr packet, const FlowKey& flow, const tcp::IpChoices& choices,
                tcp::PathCache* cache) override {
        IpOutput how;
        how.source = flow.local.address;
        how.destination = flow.remote.address;
        how.protocol = IPPROTO_TCP;
        how.hop_limit = choices.hop_limit;
        how.traffic_class = choices.traffic_class;
        how.dont_fragment = !choices.dont_discover_mtu;
        how.interface_index = choices.interface_index;
        if (cache) {
            Path& path = path_of(*cache);
            how.route = find(flow, choices, path);
            if (path.next_identification == 0) [[unlikely]]
                path.next_identification = static_cast<uint16_t>(random_u64());
            how.next_identification = &path.next_identification;
        }
        // A packet that cannot be sent is as good as lost on the way.
        (void)ip_output(std::move(packet), how).ok();
    }

    void arm_timer(uint64_t deadline_ns) override { timers_.current().timer.start(deadline_ns); }
    uint64_t random() override { return random_u64(); }

    bool start() { return stack.has_memory() && timers_.allocate(); }

    tcp::Stack stack{*this};

  private:
    // Of a connection. Zero bytes are one that has to be looked up.
    struct Path {
        CachedRoute route;
        uint16_t next_identification = 0;  // 0: choose one
    };
    static Path& path_of(tcp::PathCache& cache) {
        static_assert(sizeof(Path) <= sizeof(tcp::PathCache));
        static_assert(std::is_trivially_destructible_v<Path>);
        return *reinterpret_cast<Path*>(cache.storage);
    }
    static const Route* find(const FlowKey& flow, const tcp::IpChoices& choices, Path& path) {
        auto found =
            path.route.get(flow.remote.address, flow.local.address, choices.interface_index);
        return found.ok() ? found.value() : nullptr;
    }

    static void on_timer(void*) {
        TcpScope scope;
        tcp_stack().run_timers();
    }

    struct CpuTimer {
        Timer timer{on_timer, nullptr};  // runs on the CPU that starts it
    };
    PerCpu<CpuTimer> timers_;
};

TcpHost* host;

void tcp_input(BufferPtr packet, const IpInput& how) {
    TcpScope scope;
    if (!make_contiguous(packet, tcp::kHeaderSize) ||
        !make_contiguous(packet, (packet->data()[12] >> 4) * 4u)) {
        tcp::Counters& counters = host->stack.counters();
        counters.InSegs++;
        counters.InErrs++;
        return;
    }
    if (tcp_filters_exist && !passes_tcp_filter(*packet, how)) [[unlikely]]
        return;
    host->stack.input(std::move(packet), {how.source, how.destination, how.interface->index(),
                                          how.traffic_class, how.is_broadcast});
}

void tcp_error(const IcmpError& error) {
    if (error.transport_length < 8) return;
    TcpScope scope;
    FlowKey flow{{error.source, read_be16(error.transport), 0},
                 {error.destination, read_be16(error.transport + 2), 0}};
    host->stack.icmp_error(flow, tcp::Sequence(read_be32(error.transport + 4)), error.error,
                           error.is_fatal, error.mtu);
}

}  // namespace

tcp::Stack& tcp_stack() {
    return host->stack;
}

void register_tcp() {
    host = new (std::nothrow) TcpHost;
    if (!host || !host->start()) return;
    register_inet_socket(SOCK_STREAM, IPPROTO_TCP, create_stream_socket);
    register_protocol(IPPROTO_TCP, {tcp_input, tcp_error});
    register_tcp_proc_files();
}

}  // namespace coracle::net
