#include "libposix/net/udp/udp_input.h"

#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/dhcp_client.h"
#include "libposix/net/filter/ip_filter.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/ip_output.h"
#include "libposix/net/udp/udp_header.h"
#include "libposix/net/udp/udp_lite.h"
#include "libposix/net/udp/udp_table.h"

namespace coracle::net {

namespace {

// What the checksum says of a datagram.
struct Checked {
    bool is_lite = false;
    bool is_unsummed = false;          // an IPv6 one that only some take (RFC 6935)
    uint32_t covered = 0, length = 0;  // of UDP-Lite

    bool suits(const UdpSocket& socket) const {
        if (is_unsummed) return socket.receives_unsummed();
        return socket.lite_coverage().accepts(covered, length);
    }
};

// False: it does not hold.
bool check(const Buffer& packet, const IpInput& how, Checked& checked) {
    if (checked.is_lite) {
        checked.length = static_cast<uint32_t>(packet.chain_length());
        const std::optional<uint32_t> covered = checked_lite_coverage(packet, how);
        checked.covered = covered.value_or(0);
        return covered.has_value();
    }
    const uint8_t* field = packet.data() + udp::kChecksum;
    if (field[0] == 0 && field[1] == 0) {
        checked.is_unsummed = how.source.is_v6();
        return true;
    }
    return transport_checksum_holds(packet, how.source, how.destination, IPPROTO_UDP);
}

// The payload, as the socket's filter cuts it; false: it does not take it.
bool passes_filter(UdpSocket& socket, Buffer& payload, const IpInput& how) {
    constexpr auto kHeader = static_cast<int32_t>(kUdpHeaderSize);
    const size_t kept = socket.options.filter->run(ip_filter_input(payload, how, kHeader));
    if (kept == 0) return false;
    const size_t rest = kept > kUdpHeaderSize ? kept - kUdpHeaderSize : 0;
    return rest >= payload.chain_length() || trim_packet(payload, rest);
}

void deliver(UdpSocket& socket, BufferPtr payload, const DatagramInfo& info, const IpInput& how) {
    UdpCounters& counted = udp_counters(info.destination.is_v4(), socket.is_lite());
    if (socket.options.filter && !passes_filter(socket, *payload, how)) [[unlikely]] {
        socket.note_filtered();
        counted.in_errors++;
        return;
    }
    bool is_joined = socket.receives_merged() && socket.join_last(payload, info);
    if (is_joined || socket.enqueue(std::move(payload), info)) {
        counted.in_datagrams++;
    } else {
        counted.receive_buffer_errors++;
        counted.in_errors++;
    }
}

// Each socket that wants it gets a copy (RFC 1122, 4.1.3.5).
void deliver_to_group(BufferPtr payload, const Endpoint& remote, const Endpoint& local,
                      const DatagramInfo& info, const IpInput& how, const Checked& checked) {
    UdpSocket* last = nullptr;
    size_t size = payload->chain_length();
    for (UdpSocket& socket : udp_bucket(local.port, checked.is_lite)) {
        if (!accepts_group(socket, remote, local, info.interface_index)) continue;
        if (!checked.suits(socket)) continue;
        if (last) {
            BufferPtr copy = size ? share_chain(*payload, 0, size) : Buffer::allocate(0);
            if (copy) deliver(*last, std::move(copy), info, how);
        }
        last = &socket;
    }
    if (last) {
        deliver(*last, std::move(payload), info, how);
    } else {
        udp_counters(local.address.is_v4(), checked.is_lite).ignored_multicast++;
    }
}

void input(BufferPtr packet, const IpInput& how, bool is_lite) {
    UdpCounters& counted = udp_counters(how.destination.is_v4(), is_lite);
    if (!make_contiguous(packet, kUdpHeaderSize)) {
        counted.in_errors++;
        return;
    }
    const uint8_t* header = packet->data();
    size_t length = read_be16(header + udp::kLength);
    if (!is_lite && (length < kUdpHeaderSize || !trim_packet(*packet, length))) {
        counted.in_errors++;
        return;
    }
    auto refuse = [&counted] {
        counted.checksum_errors++;
        counted.in_errors++;
    };
    Checked checked{.is_lite = is_lite};
    if (!check(*packet, how, checked)) return refuse();
    Endpoint remote{how.source, read_be16(header + udp::kSourcePort), 0};
    Endpoint local{how.destination, read_be16(header + udp::kDestinationPort), 0};
    if (local.port == kDhcpClientPort && !is_lite && dhcp_input(*packet, *how.interface)) return;
    DatagramInfo info{.source = how.source,
                      .destination = how.destination,
                      .interface_index = how.interface->index(),
                      .source_port = remote.port,
                      .destination_port = local.port,
                      .hop_limit = how.hop_limit,
                      .traffic_class = how.traffic_class,
                      .largest_fragment = static_cast<uint16_t>(how.largest_fragment)};
    if (how.is_broadcast) {
        packet->pull(kUdpHeaderSize);
        deliver_to_group(std::move(packet), remote, local, info, how, checked);
        return;
    }
    UdpSocket* socket = find_udp_socket(remote, local, info.interface_index, packet.get(), is_lite);
    if (checked.is_unsummed && !(socket && socket->receives_unsummed())) return refuse();
    if (!socket) {
        counted.no_ports++;
        send_unreachable(std::move(packet), how, Unreachable::kPort);
        return;
    }
    if (!checked.suits(*socket)) [[unlikely]] {
        socket->note_filtered();
        counted.in_errors++;
        return;
    }
    packet->pull(kUdpHeaderSize);
    deliver(*socket, std::move(packet), info, how);
}

void report(const IcmpError& error, bool is_lite) {
    Endpoint local{error.source, read_be16(error.transport + udp::kSourcePort), 0};
    Endpoint remote{error.destination, read_be16(error.transport + udp::kDestinationPort), 0};
    uint32_t index = error.interface ? error.interface->index() : 0;
    UdpSocket* socket = find_udp_socket(remote, local, index, nullptr, is_lite);
    if (!socket) return;
    socket->icmp_error(error,
                       {error.transport + kUdpHeaderSize, error.transport_length - kUdpHeaderSize},
                       remote.port);
}

}  // namespace

void udp_input(BufferPtr packet, const IpInput& how) {
    input(std::move(packet), how, false);
}
void udp_lite_input(BufferPtr packet, const IpInput& how) {
    input(std::move(packet), how, true);
}
void udp_error(const IcmpError& error) {
    report(error, false);
}
void udp_lite_error(const IcmpError& error) {
    report(error, true);
}

}  // namespace coracle::net
