// ICMP (RFC 792) as RFC 1122, 3.2.2 wants it of hosts.
#include <linux/icmp.h>

#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"

namespace coracle::net {

namespace {

struct Meaning {
    int error;
    bool is_fatal;
};
// What the codes of "destination unreachable" are to sockets (Linux's icmp_err_convert).
constexpr Meaning kUnreachable[] = {
    {ENETUNREACH, false},  {EHOSTUNREACH, false}, {ENOPROTOOPT, true},  {ECONNREFUSED, true},
    {EMSGSIZE, false},     {EOPNOTSUPP, false},   {ENETUNREACH, true},  {EHOSTDOWN, true},
    {ENONET, true},        {ENETUNREACH, true},   {EHOSTUNREACH, true}, {ENETUNREACH, false},
    {EHOSTUNREACH, false}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true}, {EHOSTUNREACH, true},
};

// RFC 1191, 7: what a router that does not say the MTU may have meant, by the packet's size.
uint32_t guess_mtu(uint32_t packet_size) {
    for (uint32_t plateau : {32000u, 17914u, 8166u, 4352u, 2002u, 1492u, 576u}) {
        if (plateau < packet_size) return plateau;
    }
    return 576;
}

void error_input(Buffer& packet, const IpInput& how, uint8_t type, uint8_t code) {
    auto incoming = read_icmp_error(packet, how);
    if (!incoming) return;
    IcmpError& error = incoming->error;
    if (type == ICMP_DEST_UNREACH) {
        if (code >= sizeof(kUnreachable) / sizeof(kUnreachable[0])) return;
        error.error = kUnreachable[code].error;
        error.is_fatal = kUnreachable[code].is_fatal;
        if (code == ICMP_FRAG_NEEDED) {
            error.mtu = read_be16(incoming->message + 6);
            if (error.mtu == 0) {
                const uint8_t* quoted = incoming->message + kIcmpHeaderSize;
                error.mtu = guess_mtu(read_be16(quoted + ipv4::kTotalLength));
            }
        }
    } else if (type == ICMP_TIME_EXCEEDED) {
        error.error = EHOSTUNREACH;
    } else {
        error.error = EPROTO;
        error.is_fatal = true;
    }
    incoming->deliver();
}

// The request itself becomes the answer, with whatever it carries.
void answer(BufferPtr request, const IpInput& how, uint8_t type) {
    // To a group: RFC 1122, 3.2.2.6 leaves it open, Linux does not answer.
    if (how.is_broadcast || how.source.is_any()) return;
    if (request->is_shared() || request->headroom() < kPacketHeadroom / 2) {
        size_t size = request->chain_length();
        BufferPtr copy = Buffer::allocate(kPacketHeadroom + size, kPacketHeadroom);
        if (!copy) return;
        request->copy_out(0, copy->append(size), size);
        request = std::move(copy);
    }
    uint8_t* icmp = request->data();
    // RFC 1624, 3: HC' = ~(~HC + ~m + m').
    uint16_t field, old_word, new_word;
    memcpy(&field, icmp + 2, 2);
    memcpy(&old_word, icmp, 2);
    icmp[0] = type;
    memcpy(&new_word, icmp, 2);
    uint64_t sum =
        static_cast<uint16_t>(~field) + uint64_t{static_cast<uint16_t>(~old_word)} + new_word;
    field = static_cast<uint16_t>(~checksum_fold(sum));
    memcpy(icmp + 2, &field, 2);
    request->info = {};
    icmp_counters(true).out_messages++;
    icmp_counters(true).out_types[type]++;
    (void)ip_output(std::move(request), {.source = how.destination,
                                         .destination = how.source,
                                         .protocol = IPPROTO_ICMP,
                                         .traffic_class = how.traffic_class,
                                         .dont_fragment = false})
        .ok();
}

}  // namespace

void icmpv4_input(BufferPtr packet, const IpInput& how) {
    if (how.source.is_v6()) return;
    IcmpCounters& counted = icmp_counters(true);
    counted.in_messages++;
    size_t length = packet->chain_length();
    if (!make_contiguous(packet, kIcmpHeaderSize)) {
        counted.in_errors++;
        return;
    }
    if (packet->info.checksum == ChecksumState::kUnknown &&
        checksum_fold(checksum_add_chain(*packet, 0, length, 0)) != 0xffff) {
        counted.in_checksum_errors++;
        counted.in_errors++;
        return;
    }
    uint8_t type = packet->data()[0], code = packet->data()[1];
    counted.in_types[type]++;
    switch (type) {
        case ICMP_ECHO:
            answer(std::move(packet), how, ICMP_ECHOREPLY);
            break;
        case ICMP_DEST_UNREACH:
        case ICMP_TIME_EXCEEDED:
        case ICMP_PARAMETERPROB:
            error_input(*packet, how, type, code);
            break;
        default:
            // Redirects are for hosts with several routers on a link, and a way to be misled.
            break;
    }
}

}  // namespace coracle::net
