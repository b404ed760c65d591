#include "libposix/net/udp/udp_input.h"

#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/dhcp_client.h"
#include "libposix/net/filter/ip_filter.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/ip_output.h"
#include "libposix/net/udp/udp_header.h"
#include "libposix/net/udp/udp_table.h"

namespace coracle::net {

namespace {

// The payload, as the socket's filter cuts it; false: it does not take it.
bool passes_filter(UdpSocket& socket, Buffer& payload, const IpInput& how) {
    constexpr auto kHeader = static_cast<int32_t>(kUdpHeaderSize);
    const size_t kept = socket.options.filter->run(ip_filter_input(payload, how, kHeader));
    if (kept == 0) return false;
    const size_t rest = kept > kUdpHeaderSize ? kept - kUdpHeaderSize : 0;
    return rest >= payload.chain_length() || trim_packet(payload, rest);
}

void deliver(UdpSocket& socket, BufferPtr payload, const DatagramInfo& info, const IpInput& how) {
    UdpCounters& counted = udp_counters(info.destination.is_v4());
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
                      const DatagramInfo& info, const IpInput& how) {
    UdpSocket* last = nullptr;
    size_t size = payload->chain_length();
    for (UdpSocket& socket : udp_bucket(local.port % kUdpBuckets)) {
        if (!accepts_group(socket, remote, local, info.interface_index)) continue;
        if (last) {
            BufferPtr copy = size ? share_chain(*payload, 0, size) : Buffer::allocate(0);
            if (copy) deliver(*last, std::move(copy), info, how);
        }
        last = &socket;
    }
    if (last) {
        deliver(*last, std::move(payload), info, how);
    } else {
        udp_counters(local.address.is_v4()).ignored_multicast++;
    }
}

}  // namespace

void udp_input(BufferPtr packet, const IpInput& how) {
    UdpCounters& counted = udp_counters(how.destination.is_v4());
    if (!make_contiguous(packet, kUdpHeaderSize)) {
        counted.in_errors++;
        return;
    }
    const uint8_t* header = packet->data();
    size_t length = read_be16(header + udp::kLength);
    if (length < kUdpHeaderSize || !trim_packet(*packet, length)) {
        counted.in_errors++;
        return;
    }
    bool has_checksum = header[udp::kChecksum] != 0 || header[udp::kChecksum + 1] != 0;
    // Only IPv4 may do without (RFC 8200, 8.1).
    if (!has_checksum
            ? how.source.is_v6()
            : !transport_checksum_holds(*packet, how.source, how.destination, IPPROTO_UDP)) {
        counted.checksum_errors++;
        counted.in_errors++;
        return;
    }
    Endpoint remote{how.source, read_be16(header + udp::kSourcePort), 0};
    Endpoint local{how.destination, read_be16(header + udp::kDestinationPort), 0};
    if (local.port == kDhcpClientPort && dhcp_input(*packet, *how.interface)) return;
    DatagramInfo info{.source = how.source,
                      .destination = how.destination,
                      .interface_index = how.interface->index(),
                      .source_port = remote.port,
                      .destination_port = local.port,
                      .hop_limit = how.hop_limit,
                      .traffic_class = how.traffic_class};
    if (how.is_broadcast) {
        packet->pull(kUdpHeaderSize);
        deliver_to_group(std::move(packet), remote, local, info, how);
        return;
    }
    UdpSocket* socket = find_udp_socket(remote, local, info.interface_index, packet.get());
    if (!socket) {
        counted.no_ports++;
        send_unreachable(std::move(packet), how, Unreachable::kPort);
        return;
    }
    packet->pull(kUdpHeaderSize);
    deliver(*socket, std::move(packet), info, how);
}

void udp_error(const IcmpError& error) {
    Endpoint local{error.source, read_be16(error.transport + udp::kSourcePort), 0};
    Endpoint remote{error.destination, read_be16(error.transport + udp::kDestinationPort), 0};
    uint32_t index = error.interface ? error.interface->index() : 0;
    UdpSocket* socket = find_udp_socket(remote, local, index, nullptr);
    if (!socket) return;
    socket->icmp_error(error,
                       {error.transport + kUdpHeaderSize, error.transport_length - kUdpHeaderSize},
                       remote.port);
}

}  // namespace coracle::net
