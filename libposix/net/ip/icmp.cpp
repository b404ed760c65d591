// What ICMP and ICMPv6 have in common.
#include "libposix/net/ip/icmp.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/multicast.h"

namespace coracle::net {

namespace {

// Linux's icmp_msgs_per_sec and icmp_msgs_burst.
constexpr uint64_t kErrorsPerSecond = 1000, kErrorBurst = 50;
constexpr uint64_t kSecondNs = 1'000'000'000;
uint64_t budget = kErrorBurst, budget_time_ns;

// How much of a packet an error quotes: RFC 1812, 4.3.2.3, and RFC 4443, 2.4(c).
constexpr size_t kMaxErrorV4 = 576, kMaxErrorV6 = 1280;

bool may_answer(const BufferPtr& packet, const IpInput& how) {
    if (how.is_broadcast || how.source.is_any() || how.source.is_multicast()) return false;
    if (how.destination.is_multicast()) return false;
    uint8_t type;
    if (how.protocol == IPPROTO_ICMP) {
        return packet->copy_out(0, &type, 1) &&
               (type == ICMP_ECHO || type == ICMP_ECHOREPLY || type == ICMP_TIMESTAMP ||
                type == ICMP_TIMESTAMPREPLY);
    }
    // Types below 128 are errors (RFC 4443, 2.1).
    if (how.protocol == IPPROTO_ICMPV6) return packet->copy_out(0, &type, 1) && type >= 128;
    return true;
}

}  // namespace

bool icmp_error_is_allowed() {
    uint64_t now = monotonic_ns();
    uint64_t earned = (now - budget_time_ns) / (kSecondNs / kErrorsPerSecond);
    if (earned > 0) {
        budget = std::min(kErrorBurst, budget + earned);
        budget_time_ns = now;
    }
    if (budget == 0) return false;
    budget--;
    return true;
}

void start_icmp() {
    register_protocol(IPPROTO_ICMP, {icmpv4_input, nullptr});
    register_protocol(IPPROTO_ICMPV6, {icmpv6_input, nullptr});
    register_protocol(IPPROTO_IGMP, {igmp_input, nullptr});
}

void send_icmp_error(BufferPtr packet, const IpInput& how, uint8_t type, uint8_t code,
                     uint32_t parameter) {
    if (!may_answer(packet, how)) return;
    bool is_v4 = how.source.is_v4();
    IcmpCounters& counted = icmp_counters(is_v4);
    if (!icmp_error_is_allowed()) {
        counted.out_rate_limited++;
        return;
    }
    packet->push(how.header_length);
    size_t header = is_v4 ? ipv4::kHeaderSize : ipv6::kHeaderSize;
    size_t quoted =
        std::min(packet->chain_length(), (is_v4 ? kMaxErrorV4 : kMaxErrorV6) - header - 8);
    BufferPtr message = Buffer::allocate(kPacketHeadroom + 8 + quoted, kPacketHeadroom);
    if (!message) return;
    uint8_t* icmp = message->append(8 + quoted);
    icmp[0] = type;
    icmp[1] = code;
    memset(icmp + 2, 0, 2);
    write_be32(icmp + 4, parameter);
    packet->copy_out(0, icmp + 8, quoted);
    IpOutput output{.source = how.destination,
                    .destination = how.source,
                    .protocol = is_v4 ? uint8_t{IPPROTO_ICMP} : uint8_t{IPPROTO_ICMPV6},
                    .dont_fragment = false,
                    .interface_index = how.source.is_link_local() ? how.interface->index() : 0};
    counted.out_messages++;
    counted.out_types[type]++;
    if (is_v4) {
        uint16_t sum = checksum_of(icmp, 8 + quoted);
        memcpy(icmp + 2, &sum, 2);
        (void)ip_output(std::move(message), output).ok();
    } else {
        send_icmpv6(std::move(message), output);
    }
}

void send_unreachable(BufferPtr packet, const IpInput& how, Unreachable reason) {
    bool port = reason == Unreachable::kPort;
    if (how.source.is_v4()) {
        send_icmp_error(std::move(packet), how, ICMP_DEST_UNREACH,
                        port ? ICMP_PORT_UNREACH : ICMP_PROT_UNREACH);
    } else if (port) {
        send_icmp_error(std::move(packet), how, ICMPV6_DEST_UNREACH, ICMPV6_PORT_UNREACH);
    } else {
        // The pointer shows the next-header field that named it; without extensions, 6.
        send_icmp_error(std::move(packet), how, ICMPV6_PARAMPROB, ICMPV6_UNK_NEXTHDR,
                        ipv6::kNextHeader);
    }
}

void send_reassembly_timeout(BufferPtr first_fragment, const IpInput& how) {
    bool is_v4 = how.source.is_v4();
    send_icmp_error(std::move(first_fragment), how, is_v4 ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEED,
                    is_v4 ? ICMP_EXC_FRAGTIME : ICMPV6_EXC_FRAGTIME);
}

void deliver_icmp_error(const uint8_t* quoted, size_t size, IcmpError error) {
    if (size < 1) return;
    size_t header;
    uint8_t protocol;
    if (quoted[0] >> 4 == 4) {
        header = size_t{quoted[0]} % 16 * 4;
        if (size < ipv4::kHeaderSize || header < ipv4::kHeaderSize) return;
        // A later fragment quotes no transport header.
        if (read_be16(quoted + ipv4::kFragment) & ipv4::kOffsetMask) return;
        protocol = quoted[ipv4::kProtocol];
        error.source = IpAddress::from_v4_bytes(quoted + ipv4::kSource);
        error.destination = IpAddress::from_v4_bytes(quoted + ipv4::kDestination);
    } else {
        header = ipv6::kHeaderSize;
        if (size < header) return;
        protocol = quoted[ipv6::kNextHeader];
        error.source = IpAddress::from_v6_bytes(quoted + ipv6::kSource);
        error.destination = IpAddress::from_v6_bytes(quoted + ipv6::kDestination);
        while (ipv6::is_extension(protocol)) {
            if (size < header + 8) return;
            if (protocol == IPPROTO_FRAGMENT && read_be16(quoted + header + 2) >> 3 != 0) return;
            size_t length = protocol == IPPROTO_FRAGMENT ? 8 : (quoted[header + 1] + size_t{1}) * 8;
            protocol = quoted[header];
            header += length;
        }
    }
    // RFC 1122, 3.2.2: at least 8 bytes are quoted.
    if (size < header + 8 || !is_local_address(error.source)) return;
    error.transport = quoted + header;
    error.transport_length = size - header;
    error.protocol = protocol;
    if (error.error == EMSGSIZE && error.mtu) note_path_mtu(error.destination, error.mtu);
    report_raw_error(error);
    const Protocol* transport = find_protocol(protocol);
    if (transport && transport->error) transport->error(error);
}

std::optional<IncomingIcmpError> read_icmp_error(const Buffer& packet, const IpInput& how) {
    const bool is_v4 = how.source.is_v4();
    auto incoming = std::make_optional<IncomingIcmpError>();
    incoming->size = std::min(packet.chain_length(), sizeof(incoming->message));
    if (incoming->size < kIcmpHeaderSize + (is_v4 ? ipv4::kHeaderSize : ipv6::kHeaderSize)) {
        icmp_counters(is_v4).in_errors++;
        return {};
    }
    packet.copy_out(0, incoming->message, incoming->size);
    incoming->error.type = incoming->message[0];
    incoming->error.code = incoming->message[1];
    incoming->error.offender = how.source;
    incoming->error.interface = how.interface;
    return incoming;
}

void report_undeliverable(BufferPtr packet, int error) {
    uint8_t quoted[128];
    size_t size = std::min(packet->chain_length(), sizeof(quoted));
    packet->copy_out(0, quoted, size);
    bool is_v4 = size > 0 && quoted[0] >> 4 == 4;
    IcmpError about{};
    about.error = error;
    about.type = is_v4 ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH;
    about.code = is_v4 ? ICMP_HOST_UNREACH : ICMPV6_ADDR_UNREACH;
    about.interface = static_cast<Interface*>(packet->info.interface);
    deliver_icmp_error(quoted, size, about);
}

}  // namespace coracle::net
