// What TCP adds to /proc/net (man 5 proc): the table of sockets, and the counters.
#include "libposix/net/inet/stream_socket.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/proc_net.h"

namespace coracle::net {

namespace {

using tcp::State;

constexpr size_t kLineSize = 149;
constexpr uint64_t kTick = 10'000'000;  // of USER_HZ, in nanoseconds

enum class ShownTimer : unsigned { kNone, kRetransmit, kSocket, kTimeWait, kWindowProbe };

struct Row {
    const FlowKey& flow;
    State state;
    ShownTimer timer = ShownTimer::kNone;
    uint64_t deadline_ns = tcp::kNever;
    uint32_t unacknowledged = 0, readable = 0, retransmissions = 0, probes = 0;
    const tcp::Observer* socket = nullptr;
};

class Table {
  public:
    Table(TextBuffer& to, bool v6) : to_(to), v6_(v6), now_ns_(monotonic_ns()) {}

    void add(const tcp::Listener& listener) {
        auto* socket = static_cast<const StreamSocket*>(listener.observer);
        FlowKey flow{listener.local, {}};
        if (!v6_) flow.remote.address = IpAddress::any_v4();
        if (!socket || (socket->family() == AF_INET6) != v6_) return;
        begin({.flow = flow,
               .state = State::kListen,
               .readable = listener.accept_queue_length(),
               .socket = socket});
        line_.print(" 1 %016x 100 0 0 %u 0", 0u, tcp::kInitialWindow);
        end();
    }

    void add(const tcp::Flow& flow) {
        if (is_v6(flow) != v6_) return;
        switch (flow.kind) {
            case tcp::FlowKind::kConnection:
                add_connection(static_cast<const tcp::Connection&>(flow));
                break;
            case tcp::FlowKind::kHalfOpen:
                begin({.flow = flow.key,
                       .state = State::kSynReceived,
                       .timer = ShownTimer::kRetransmit,
                       .deadline_ns = flow.timer_ns,
                       .retransmissions = static_cast<const tcp::HalfOpen&>(flow).retransmissions});
                line_.print(" 0 %016x", 0u);
                end();
                break;
            case tcp::FlowKind::kTimeWait:
                begin({.flow = flow.key,
                       .state = State::kTimeWait,
                       .timer = ShownTimer::kTimeWait,
                       .deadline_ns = flow.timer_ns});
                line_.print(" 3 %016x", 0u);
                end();
                break;
        }
    }

  private:
    static const StreamSocket* socket_of(const tcp::Flow& flow) {
        if (flow.kind != tcp::FlowKind::kConnection) return nullptr;
        return static_cast<const StreamSocket*>(static_cast<const tcp::Connection&>(flow).observer);
    }
    // An IPv6 socket's IPv4 connection is one of tcp6.
    static bool is_v6(const tcp::Flow& flow) {
        const StreamSocket* socket = socket_of(flow);
        return socket ? socket->family() == AF_INET6 : !flow.key.local.address.is_v4();
    }

    void add_connection(const tcp::Connection& connection) {
        using Timer = tcp::Connection::RetransmitTimer;
        Row row{.flow = connection.key,
                .state = connection.state,
                .unacknowledged = connection.unacknowledged_bytes(),
                .readable = connection.receive_bytes,
                .retransmissions = connection.retransmissions,
                .probes = connection.probes_out,
                .socket = connection.observer};
        if (connection.retransmit_timer == Timer::kWindowProbe) {
            row.timer = ShownTimer::kWindowProbe;
            row.deadline_ns = connection.retransmit_deadline_ns;
        } else if (connection.retransmit_timer != Timer::kNone) {
            row.timer = ShownTimer::kRetransmit;
            row.deadline_ns = connection.retransmit_deadline_ns;
        } else if (connection.keepalive_deadline_ns != tcp::kNever) {
            row.timer = ShownTimer::kSocket;
            row.deadline_ns = connection.keepalive_deadline_ns;
        }
        begin(row);
        const tcp::CongestionState& congestion = connection.congestion;
        int threshold = congestion.slow_start_threshold >= tcp::kInfiniteThreshold
                            ? -1
                            : static_cast<int>(congestion.slow_start_threshold);
        line_.print(" %u %016x %lu %lu %u %u %d", row.timer == ShownTimer::kNone ? 1u : 2u, 0u,
                    connection.rtt.timeout_ns() / kTick, connection.ack_timeout_ns / kTick,
                    unsigned{connection.quick_acks} << 1 | connection.ping_pong, congestion.window,
                    threshold);
        end();
    }

    void begin(const Row& row) {
        auto* socket = static_cast<const StreamSocket*>(row.socket);
        uint64_t left = 0;
        if (row.timer != ShownTimer::kNone && row.deadline_ns > now_ns_) {
            left = (row.deadline_ns - now_ns_) / kTick;
        }
        line_.clear();
        line_.print("%4u: ", number_++);
        put_proc_endpoint(line_, row.flow.local, v6_);
        line_.add(" ");
        put_proc_endpoint(line_, row.flow.remote, v6_);
        line_.print(" %02X %08X:%08X %02X:%08lX %08X %5u %8u %lu", static_cast<unsigned>(row.state),
                    row.unacknowledged, row.readable, static_cast<unsigned>(row.timer), left,
                    row.retransmissions, socket ? socket->user() : 0, row.probes,
                    socket ? socket->inode().number : 0);
    }

    void end() {
        if (!v6_ && line_.size() < kLineSize) line_.add_repeated(' ', kLineSize - line_.size());
        to_.add(line_.text());
        to_.add("\n");
    }

    TextBuffer& to_;
    bool v6_;
    uint64_t now_ns_;
    unsigned number_ = 0;
    TextBuffer line_;
};

Result<void> show_connections(TextBuffer& to, bool v6) {
    Table table(to, v6);
    tcp_stack().for_each_listener([&](const tcp::Listener& listener) { table.add(listener); });
    tcp_stack().for_each_flow([&](const tcp::Flow& flow) { table.add(flow); });
    return to.status();
}

Result<void> show_snmp(TextBuffer& to) {
    const tcp::Counters counters = tcp_stack().total_counters();
    to.add("Tcp: RtoAlgorithm RtoMin RtoMax MaxConn");
    tcp::for_each_snmp_counter(counters, [&](std::string_view name, uint64_t) {
        to.add(" ");
        to.add(name);
    });
    to.print("\nTcp: 1 %lu %lu -1", tcp::kMinimumTimeout / tcp::kMillisecond,
             tcp::kMaximumTimeout / tcp::kMillisecond);
    tcp::for_each_snmp_counter(counters,
                               [&](std::string_view, uint64_t value) { to.print(" %lu", value); });
    to.add("\n");
    return to.status();
}

Result<void> show_netstat(TextBuffer& to) {
    const tcp::Counters counters = tcp_stack().total_counters();
    to.add("TcpExt:");
    tcp::for_each_extended_counter(counters, [&](std::string_view name, uint64_t) {
        to.add(" ");
        to.add(name);
    });
    to.add("\nTcpExt:");
    tcp::for_each_extended_counter(
        counters, [&](std::string_view, uint64_t value) { to.print(" %lu", value); });
    to.add("\n");
    return to.status();
}

TcpSocketCounts count_sockets() {
    TcpSocketCounts counts;
    counts.time_wait = tcp_stack().time_wait_count();
    tcp_stack().for_each_listener([&](const tcp::Listener& listener) {
        ++(listener.local.address.is_v4() ? counts.in_use : counts.in_use_v6);
    });
    tcp_stack().for_each_flow([&](const tcp::Flow& flow) {
        if (flow.kind != tcp::FlowKind::kConnection) return;
        const auto& connection = static_cast<const tcp::Connection&>(flow);
        ++(flow.key.local.address.is_v4() ? counts.in_use : counts.in_use_v6);
        counts.orphans += connection.is_orphan;
        counts.memory += connection.send_memory + connection.receive_memory;
    });
    return counts;
}

}  // namespace

Result<void> show_tcp_fastopen(TextBuffer& to, const PseudoContext&) {
    to.print("%u\n", tcp_stack().settings.fast_open);
    return to.status();
}

// In decimal, octal or hexadecimal, as C writes them (ip-sysctl.rst has the bits in hexadecimal).
Result<void> store_tcp_fastopen(std::string_view text, const PseudoContext&) {
    constexpr std::string_view kSpace = " \t\n", kDigits = "0123456789abcdef";
    const size_t start = text.find_first_not_of(kSpace);
    if (start == text.npos) return Error(EINVAL);
    text = text.substr(start, text.find_last_not_of(kSpace) + 1 - start);
    uint32_t base = text[0] == '0' ? 8 : 10;
    if (text.starts_with("0x") && text.size() > 2) {
        base = 16;
        text.remove_prefix(2);
    }
    uint64_t value = 0;
    for (char c : text) {
        const size_t digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c | 0x20) : c);
        if (digit >= base) return Error(EINVAL);
        value = value * base + digit;
        if (value > INT32_MAX) return Error(EINVAL);
    }
    tcp_stack().settings.fast_open = static_cast<uint32_t>(value);
    return {};
}

void register_tcp_proc_files() {
    tcp_proc_files = {show_connections, show_snmp, show_netstat, count_sockets};
}

}  // namespace coracle::net
