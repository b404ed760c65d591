// IPv4 packets that come in (RFC 791, RFC 1122, 3.2.1).
#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/reassembly.h"

namespace coracle::net {

namespace {

constexpr uint8_t kOptionEnd = 0, kOptionNoOperation = 1, kOptionLooseRoute = 131,
                  kOptionStrictRoute = 137;

// Options are skipped, but source routes are refused, as Linux does by default.
bool options_are_good(const uint8_t* options, size_t size) {
    for (size_t at = 0; at < size;) {
        uint8_t type = options[at];
        if (type == kOptionEnd) return true;
        if (type == kOptionNoOperation) {
            at++;
            continue;
        }
        if (at + 2 > size || options[at + 1] < 2 || at + options[at + 1] > size) return false;
        if (type == kOptionLooseRoute || type == kOptionStrictRoute) return false;
        at += options[at + 1];
    }
    return true;
}

}  // namespace

void ipv4_input(BufferPtr packet, Interface& interface) {
    IpCounters& counted = ip_counters(true);
    counted.in_receives++;
    if (!make_contiguous(packet, ipv4::kHeaderSize)) {
        counted.in_header_errors++;
        return;
    }
    const uint8_t* header = packet->data();
    size_t header_size = size_t{header[0]} % 16 * 4;
    if (header[0] >> 4 != 4 || header_size < ipv4::kHeaderSize ||
        !make_contiguous(packet, header_size)) {
        counted.in_header_errors++;
        return;
    }
    header = packet->data();
    if (!packet->info.network_checksum_holds && !interface.is_loopback() &&
        checksum_fold(checksum_add(header, header_size, 0)) != 0xffff) {
        counted.in_checksum_errors++;
        counted.in_header_errors++;
        return;
    }
    size_t total = read_be16(header + ipv4::kTotalLength);
    if (total < header_size ||
        !options_are_good(header + ipv4::kHeaderSize, header_size - ipv4::kHeaderSize)) {
        counted.in_header_errors++;
        return;
    }
    // A merged or looped packet may be longer than the field can say.
    if (packet->info.segment_size == 0 && !trim_packet(*packet, total)) {
        counted.in_truncated++;
        return;
    }
    IpInput how{.source = IpAddress::from_v4_bytes(header + ipv4::kSource),
                .destination = IpAddress::from_v4_bytes(header + ipv4::kDestination),
                .interface = &interface,
                .header_length = static_cast<uint32_t>(header_size),
                .protocol = header[ipv4::kProtocol],
                .hop_limit = header[ipv4::kTimeToLive],
                .traffic_class = header[ipv4::kTypeOfService],
                .is_broadcast = false};
    counted.in_octets += total;
    // RFC 1122, 3.2.1.3: neither can be a source, nor may 127/8 come from outside.
    bool martian =
        how.source.is_multicast() || how.source.is_limited_broadcast() ||
        (!interface.is_loopback() && (how.source.is_loopback() || how.destination.is_loopback()));
    if (martian || !is_for_us(how.destination, interface, &how.is_broadcast)) {
        counted.in_address_errors++;
        return;
    }
    if (how.is_broadcast) {
        (how.destination.is_multicast() ? counted.in_multicast : counted.in_broadcast)++;
    }
    uint16_t fragment = read_be16(header + ipv4::kFragment);
    uint16_t identification = read_be16(header + ipv4::kIdentification);
    packet->pull(header_size);
    packet->info.network_offset = 0;
    if (fragment & (ipv4::kMoreFragments | ipv4::kOffsetMask)) {
        packet = reassemble(std::move(packet), how,
                            {.identification = identification,
                             .offset = (fragment & ipv4::kOffsetMask) * uint32_t{8},
                             .has_more = (fragment & ipv4::kMoreFragments) != 0});
        if (!packet) return;
        uint8_t* whole = packet->data() - how.header_length;
        write_be16(whole + ipv4::kTotalLength,
                   static_cast<uint16_t>(how.header_length + packet->chain_length()));
        memset(whole + ipv4::kFragment, 0, 2);
        memset(whole + ipv4::kChecksum, 0, 2);
        uint16_t sum = checksum_of(whole, how.header_length);
        memcpy(whole + ipv4::kChecksum, &sum, 2);
    }
    deliver_packet(std::move(packet), how);
}

}  // namespace coracle::net
