// IPv4 packets that go out (RFC 791, RFC 1191).
#include <algorithm>
#include <atomic>

#include "kernel-min/lib/random.h"
#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_output.h"

namespace coracle::net {

namespace {

// Unique while fragments of it may be about (RFC 6864, 4); begins anywhere.
uint16_t take_identifications(const IpOutput& how, size_t count) {
    static std::atomic<uint16_t> of_all = static_cast<uint16_t>(random_u64());
    const auto taken = static_cast<uint16_t>(count);
    if (!how.next_identification) return of_all.fetch_add(taken, std::memory_order_relaxed);
    const uint16_t first = *how.next_identification;
    *how.next_identification = static_cast<uint16_t>(first + taken);
    return first;
}

void set_checksum(uint8_t* header, size_t size) {
    memset(header + ipv4::kChecksum, 0, 2);
    uint16_t sum = checksum_of(header, size);
    memcpy(header + ipv4::kChecksum, &sum, 2);
}

// Options with the copied flag go into every fragment (RFC 791, 3.1), the others become padding.
void keep_copied_options(uint8_t* options, size_t size) {
    constexpr uint8_t kEnd = 0, kNoOperation = 1, kCopied = 0x80;
    for (size_t at = 0; at < size;) {
        uint8_t type = options[at];
        if (type == kEnd) return;
        size_t length = type == kNoOperation || at + 1 == size ? 1 : options[at + 1];
        length = std::clamp<size_t>(length, 1, size - at);
        if (!(type & kCopied)) memset(options + at, kNoOperation, length);
        at += length;
    }
}

Result<void> send_fragments(BufferPtr packet, const IpOutput& how, const Route& route) {
    // The device would see to one fragment's checksum, not to the whole's.
    complete_checksum(*packet);
    uint8_t header[ipv4::kMaxHeaderSize];
    size_t header_size = size_t{packet->data()[0]} % 16 * 4;
    memcpy(header, packet->data(), header_size);
    size_t payload = packet->chain_length() - header_size;
    size_t step = (route.mtu - header_size) & ~size_t{7};
    for (size_t at = 0; at < payload; at += step) {
        size_t size = std::min(step, payload - at);
        BufferPtr fragment = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
        BufferPtr body = fragment ? share_chain(*packet, header_size + at, size) : nullptr;
        if (!body) {
            ip_counters(true).fragmentation_failed++;
            return Error(ENOBUFS);
        }
        uint8_t* to = fragment->append(header_size);
        memcpy(to, header, header_size);
        write_be16(to + ipv4::kTotalLength, static_cast<uint16_t>(header_size + size));
        uint16_t place = static_cast<uint16_t>(at / 8);
        // A packet made elsewhere (IP_HDRINCL) may be a fragment already.
        place = static_cast<uint16_t>(place +
                                      (read_be16(header + ipv4::kFragment) & ipv4::kOffsetMask));
        if (at + size < payload || read_be16(header + ipv4::kFragment) & ipv4::kMoreFragments) {
            place |= ipv4::kMoreFragments;
        }
        write_be16(to + ipv4::kFragment, place);
        set_checksum(to, header_size);
        fragment->set_next(std::move(body));
        ip_counters(true).fragments_created++;
        send_packet(std::move(fragment), how, route);
        if (at == 0) {
            keep_copied_options(header + ipv4::kHeaderSize, header_size - ipv4::kHeaderSize);
        }
    }
    ip_counters(true).fragmentation_ok++;
    return {};
}

bool is_too_large(const Buffer& packet, const Route& route) {
    return packet.info.segment_size == 0 && packet.chain_length() > route.mtu;
}

}  // namespace

Result<void> ipv4_output(BufferPtr packet, const IpOutput& how, const Route& route) {
    size_t header_size = ipv4::kHeaderSize + how.ipv4_options_length;
    size_t total = packet->chain_length() + header_size;
    bool is_cut = packet->info.segment_size != 0;
    if (total > kMaxIpPacket && !is_cut) return Error(EMSGSIZE);
    if (!is_cut && total > route.mtu && how.dont_fragment) {
        ip_counters(true).fragmentation_failed++;
        return Error(EMSGSIZE);
    }
    if (!ensure_headroom(packet, header_size + kLinkHeadroom)) {
        ip_counters(true).out_discards++;
        return Error(ENOBUFS);
    }
    uint8_t* header = packet->push(header_size);
    header[0] = static_cast<uint8_t>(0x40 | header_size / 4);
    header[ipv4::kTypeOfService] = how.traffic_class;
    write_be16(header + ipv4::kTotalLength, static_cast<uint16_t>(std::min(total, kMaxIpPacket)));
    size_t count = is_cut ? total / packet->info.segment_size + 1 : 1;
    write_be16(header + ipv4::kIdentification, take_identifications(how, count));
    write_be16(header + ipv4::kFragment, how.dont_fragment ? ipv4::kDontFragment : 0);
    header[ipv4::kTimeToLive] = how.hop_limit                    ? how.hop_limit
                                : how.destination.is_multicast() ? 1
                                                                 : kDefaultHopLimit;
    header[ipv4::kProtocol] = how.protocol;
    memcpy(header + ipv4::kSource, how.source.v4_bytes(), 4);
    memcpy(header + ipv4::kDestination, how.destination.v4_bytes(), 4);
    if (how.ipv4_options_length) {
        memcpy(header + ipv4::kHeaderSize, how.ipv4_options, how.ipv4_options_length);
    }
    set_checksum(header, header_size);
    packet->info.checksum_start = static_cast<uint16_t>(packet->info.checksum_start + header_size);
    ip_counters(true).out_octets += total;
    if (is_too_large(*packet, route)) return send_fragments(std::move(packet), how, route);
    send_packet(std::move(packet), how, route);
    return {};
}

Result<void> ip_output_with_header(BufferPtr packet, uint32_t interface_index) {
    if (packet->length() < ipv4::kHeaderSize || !ensure_headroom(packet, kLinkHeadroom)) {
        return Error(EINVAL);
    }
    // The header lies behind the fresh headroom, if that had to be made: put it in one piece.
    uint8_t start[ipv4::kMaxHeaderSize];
    size_t readable = std::min(packet->chain_length(), sizeof(start));
    packet->copy_out(0, start, readable);
    size_t header_size = size_t{start[0]} % 16 * 4;
    if (start[0] >> 4 != 4 || header_size < ipv4::kHeaderSize || header_size > readable ||
        packet->length() < header_size) {
        return Error(EINVAL);
    }
    IpOutput how{.source = IpAddress::from_v4_bytes(start + ipv4::kSource),
                 .destination = IpAddress::from_v4_bytes(start + ipv4::kDestination),
                 .protocol = start[ipv4::kProtocol],
                 .hop_limit = start[ipv4::kTimeToLive],
                 .interface_index = interface_index};
    Route route = TRY(find_route(how.destination, how.source, interface_index));
    uint8_t* header = packet->data();
    if (how.source.is_any()) memcpy(header + ipv4::kSource, route.source.v4_bytes(), 4);
    if (read_be16(header + ipv4::kIdentification) == 0) {
        write_be16(header + ipv4::kIdentification, take_identifications(how, 1));
    }
    if (packet->chain_length() > kMaxIpPacket) return Error(EMSGSIZE);
    write_be16(header + ipv4::kTotalLength, static_cast<uint16_t>(packet->chain_length()));
    set_checksum(header, header_size);
    ip_counters(true).out_octets += packet->chain_length();
    if (is_too_large(*packet, route)) {
        if (read_be16(header + ipv4::kFragment) & ipv4::kDontFragment) return Error(EMSGSIZE);
        return send_fragments(std::move(packet), how, route);
    }
    send_packet(std::move(packet), how, route);
    return {};
}

}  // namespace coracle::net
