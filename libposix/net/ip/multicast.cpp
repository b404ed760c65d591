#include "libposix/net/ip/multicast.h"

#include "libposix/net/checksum.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"

namespace coracle::net {

namespace {

// RFC 3376, 4.2; RFC 3810, 5.2.
constexpr uint8_t kIgmpQuery = 0x11, kIgmpV3Report = 0x22, kMldV2Report = 143;
constexpr uint8_t kModeIsExclude = 2, kChangeToInclude = 3, kChangeToExclude = 4;
constexpr uint8_t kRouterAlertV4[] = {0x94, 0x04, 0x00, 0x00};  // RFC 2113
constexpr size_t kRecordSizeV4 = 8, kRecordSizeV6 = 20, kReportHeader = 8;

// A report of `records` that fill(n, at) writes.
template <typename Fill>
void send_report(Interface& interface, bool is_v4, size_t records, Fill fill) {
    size_t record_size = is_v4 ? kRecordSizeV4 : kRecordSizeV6;
    size_t size = kReportHeader + records * record_size;
    BufferPtr report = Buffer::allocate(kPacketHeadroom + size, kPacketHeadroom);
    if (!report) return;
    uint8_t* at = report->append(size);
    memset(at, 0, size);
    at[0] = is_v4 ? kIgmpV3Report : kMldV2Report;
    write_be16(at + 6, static_cast<uint16_t>(records));
    for (size_t i = 0; i < records; i++) fill(i, at + kReportHeader + i * record_size);
    if (is_v4) {
        uint16_t sum = checksum_of(at, size);
        memcpy(at + 2, &sum, 2);
        IpOutput how{.destination = IpAddress::v4(224, 0, 0, 22),
                     .protocol = IPPROTO_IGMP,
                     .hop_limit = 1,
                     .interface_index = interface.index(),
                     .loops_multicast = false,
                     .ipv4_options = kRouterAlertV4,
                     .ipv4_options_length = sizeof(kRouterAlertV4)};
        (void)ip_output(std::move(report), how).ok();
    } else {
        constexpr uint8_t kAllMldRouters[16] = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 22};
        send_icmpv6(std::move(report), {.destination = IpAddress::from_v6_bytes(kAllMldRouters),
                                        .protocol = IPPROTO_ICMPV6,
                                        .hop_limit = 1,
                                        .interface_index = interface.index(),
                                        .loops_multicast = false,
                                        .has_router_alert = true});
    }
}

void fill_record(uint8_t* at, uint8_t mode, const IpAddress& group) {
    at[0] = mode;
    if (group.is_v4()) {
        memcpy(at + 4, group.v4_bytes(), 4);
    } else {
        memcpy(at + 4, group.v6_bytes(), 16);
    }
}

void report_all(Interface& interface, bool is_v4) {
    const IpAddress* reported[Interface::kMaxGroups];
    size_t count = 0;
    for (const Interface::Group& group : interface.groups()) {
        if (group.address.is_v4() == is_v4 && is_reported(group.address)) {
            reported[count++] = &group.address;
        }
    }
    if (count == 0) return;
    send_report(interface, is_v4, count,
                [&](size_t i, uint8_t* at) { fill_record(at, kModeIsExclude, *reported[i]); });
}

}  // namespace

bool is_reported(const IpAddress& group) {
    // All systems (RFC 3376, 6) and all nodes, and what never leaves a node (RFC 3810, 6).
    if (group.is_v4()) return !(group == IpAddress::v4(224, 0, 0, 1));
    const uint8_t* bytes = group.v6_bytes();
    bool all_nodes = bytes[1] == 2 && group.low() == IpAddress::loopback_v6().low();
    return (bytes[1] & 15) >= 2 && !all_nodes;
}

void report_group(Interface& interface, const IpAddress& group, GroupChange change) {
    if (!is_reported(group) || !interface.is_up()) return;
    uint8_t mode = change == GroupChange::kJoin ? kChangeToExclude : kChangeToInclude;
    send_report(interface, group.is_v4(), 1,
                [&](size_t, uint8_t* at) { fill_record(at, mode, group); });
}

void igmp_input(BufferPtr packet, const IpInput& how) {
    size_t size = packet->chain_length();
    if (!make_contiguous(packet, 8)) return;
    if (checksum_fold(checksum_add_chain(*packet, 0, size, 0)) != 0xffff) return;
    if (packet->data()[0] == kIgmpQuery) report_all(*how.interface, true);
}

void mld_query_input(const IpInput& how) {
    if (how.source.is_link_local() && how.hop_limit == 1) report_all(*how.interface, false);
}

}  // namespace coracle::net
