// IPv6 packets that go out (RFC 8200).
#include <algorithm>

#include "kernel-min/lib/random.h"
#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_output.h"

namespace coracle::net {

namespace {

// A hop-by-hop header with the router alert for MLD, padded (RFC 2711, 2.1).
constexpr uint8_t kRouterAlert[] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0};

void write_header(uint8_t* header, const IpOutput& how, const Route& route, uint8_t next_header,
                  size_t payload) {
    write_be32(header, 6u << 28 | uint32_t{how.traffic_class} << 20 | (how.flow_label & 0xfffff));
    write_be16(header + ipv6::kPayloadLength,
               static_cast<uint16_t>(std::min(payload, kMaxIpPacket)));
    header[ipv6::kNextHeader] = next_header;
    header[ipv6::kHopLimit] = how.hop_limit                    ? how.hop_limit
                              : how.destination.is_multicast() ? 1
                                                               : route.interface->hop_limit_v6;
    memcpy(header + ipv6::kSource, how.source.v6_bytes(), 16);
    memcpy(header + ipv6::kDestination, how.destination.v6_bytes(), 16);
}

Result<void> send_fragments(BufferPtr packet, const IpOutput& how, const Route& route) {
    complete_checksum(*packet);
    size_t payload = packet->chain_length();
    auto identification = static_cast<uint32_t>(random_u64());  // RFC 7739
    const uint32_t largest = std::min(route.mtu, how.largest_fragment);
    size_t step = (largest - ipv6::kHeaderSize - ipv6::kFragmentHeaderSize) & ~size_t{7};
    for (size_t at = 0; at < payload; at += step) {
        size_t size = std::min(step, payload - at);
        BufferPtr fragment = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
        BufferPtr body = fragment ? share_chain(*packet, at, size) : nullptr;
        if (!body) {
            ip_counters(false).fragmentation_failed++;
            return Error(ENOBUFS);
        }
        uint8_t* header = fragment->append(ipv6::kHeaderSize + ipv6::kFragmentHeaderSize);
        write_header(header, how, route, IPPROTO_FRAGMENT, ipv6::kFragmentHeaderSize + size);
        uint8_t* place = header + ipv6::kHeaderSize;
        place[0] = how.protocol;
        place[1] = 0;
        write_be16(place + 2, static_cast<uint16_t>(at | (at + size < payload ? 1 : 0)));
        write_be32(place + 4, identification);
        fragment->set_next(std::move(body));
        ip_counters(false).fragments_created++;
        send_packet(std::move(fragment), how, route);
    }
    ip_counters(false).fragmentation_ok++;
    return {};
}

}  // namespace

Result<void> ipv6_output(BufferPtr packet, const IpOutput& how, const Route& route) {
    size_t payload = packet->chain_length();
    bool is_cut = packet->info.segment_size != 0;
    size_t extension = how.has_router_alert ? sizeof(kRouterAlert) : 0;
    if (payload > kMaxIpPacket && !is_cut) return Error(EMSGSIZE);
    ip_counters(false).out_octets += payload + ipv6::kHeaderSize;
    if (!is_cut && payload + ipv6::kHeaderSize + extension > route.mtu) {
        if (how.dont_fragment) return Error(EMSGSIZE);
        return send_fragments(std::move(packet), how, route);
    }
    if (!ensure_headroom(packet, ipv6::kHeaderSize + extension + kLinkHeadroom)) {
        ip_counters(false).out_discards++;
        return Error(ENOBUFS);
    }
    if (extension) memcpy(packet->push(extension), kRouterAlert, extension);
    uint8_t* header = packet->push(ipv6::kHeaderSize);
    write_header(header, how, route,
                 extension ? static_cast<uint8_t>(IPPROTO_HOPOPTS) : how.protocol,
                 payload + extension);
    packet->info.checksum_start =
        static_cast<uint16_t>(packet->info.checksum_start + ipv6::kHeaderSize + extension);
    send_packet(std::move(packet), how, route);
    return {};
}

}  // namespace coracle::net
