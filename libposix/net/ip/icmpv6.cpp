// ICMPv6 (RFC 4443).
#include <linux/icmpv6.h>

#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/multicast.h"
#include "libposix/net/prefix.h"

namespace coracle::net {

namespace {

void error_input(Buffer& packet, const IpInput& how, uint8_t type, uint8_t code) {
    auto incoming = read_icmp_error(packet, how);
    if (!incoming) return;
    IcmpError& error = incoming->error;
    // Linux's icmpv6_err_convert.
    switch (type) {
        case ICMPV6_DEST_UNREACH:
            error.error = code == ICMPV6_NOROUTE          ? ENETUNREACH
                          : code == ICMPV6_ADM_PROHIBITED ? EACCES
                          : code == ICMPV6_NOT_NEIGHBOUR  ? EHOSTUNREACH
                          : code == ICMPV6_ADDR_UNREACH   ? EHOSTUNREACH
                          : code == ICMPV6_PORT_UNREACH   ? ECONNREFUSED
                          : code <= ICMPV6_REJECT_ROUTE   ? EACCES
                                                          : EPROTO;
            error.is_fatal = error.error == EACCES || error.error == ECONNREFUSED;
            break;
        case ICMPV6_PKT_TOOBIG:
            error.error = EMSGSIZE;
            error.mtu = read_be32(incoming->message + 4);
            break;
        case ICMPV6_TIME_EXCEED:
            error.error = EHOSTUNREACH;
            break;
        default:
            error.error = EPROTO;
            error.is_fatal = true;
    }
    incoming->deliver();
}

void answer_echo(const Buffer& request, const IpInput& how) {
    size_t size = request.chain_length();
    BufferPtr reply = Buffer::allocate(kPacketHeadroom + size, kPacketHeadroom);
    if (!reply) return;
    uint8_t* icmp = reply->append(size);
    request.copy_out(0, icmp, size);
    icmp[0] = ICMPV6_ECHO_REPLY;
    bool to_group = how.destination.is_multicast();
    send_icmpv6(std::move(reply),
                {.source = to_group ? IpAddress::any_v6() : how.destination,
                 .destination = how.source,
                 .protocol = IPPROTO_ICMPV6,
                 .traffic_class = how.traffic_class,
                 .dont_fragment = false,
                 .interface_index = how.source.is_link_local() ? how.interface->index() : 0});
}

}  // namespace

void send_icmpv6(BufferPtr message, const IpOutput& how) {
    IpOutput chosen = how;
    auto route = find_route(how.destination, how.source, how.interface_index);
    if (!route) return;
    if (chosen.source.is_any() && !how.source_is_chosen) chosen.source = route->source;
    chosen.route = &*route;
    uint8_t* icmp = message->data();
    icmp_counters(false).out_messages++;
    icmp_counters(false).out_types[icmp[0]]++;
    memset(icmp + 2, 0, 2);
    auto length = static_cast<uint32_t>(message->chain_length());
    uint64_t sum = pseudo_header_sum(chosen.source, chosen.destination, IPPROTO_ICMPV6, length);
    auto field =
        static_cast<uint16_t>(~checksum_fold(checksum_add_chain(*message, 0, length, sum)));
    memcpy(icmp + 2, &field, 2);
    (void)ip_output(std::move(message), chosen).ok();
}

void icmpv6_input(BufferPtr packet, const IpInput& how) {
    if (how.source.is_v4()) return;
    IcmpCounters& counted = icmp_counters(false);
    counted.in_messages++;
    if (!make_contiguous(packet, std::min<size_t>(packet->chain_length(), 512)) ||
        packet->length() < 4) {
        counted.in_errors++;
        return;
    }
    if (!transport_checksum_holds(*packet, how.source, how.destination, IPPROTO_ICMPV6)) {
        counted.in_checksum_errors++;
        counted.in_errors++;
        return;
    }
    uint8_t type = packet->data()[0], code = packet->data()[1];
    counted.in_types[type]++;
    switch (type) {
        case ICMPV6_ECHO_REQUEST:
            answer_echo(*packet, how);
            break;
        case ICMPV6_DEST_UNREACH:
        case ICMPV6_PKT_TOOBIG:
        case ICMPV6_TIME_EXCEED:
        case ICMPV6_PARAMPROB:
            error_input(*packet, how, type, code);
            break;
        case ICMPV6_MGM_QUERY:
            mld_query_input(how);
            break;
        default:
            ndp_input(type, std::move(packet), how);
    }
}

}  // namespace coracle::net
