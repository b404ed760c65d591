#include "libposix/net/proc_net.h"

#include <net/if_arp.h>
#include <net/route.h>

#include "libposix/net/counters.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/network.h"
#include "libposix/net/prefix.h"
#include "libposix/net/route.h"

namespace coracle::net {

namespace {

// Four bytes as Linux prints a __be32: a number of this machine's byte order.
uint32_t word_at(const uint8_t* bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return value;
}

Result<void> show_dev(TextBuffer& to, const PseudoContext&) {
    start_network();
    to.add(
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs "
        "drop fifo colls carrier compressed\n");
    for (const Interface* interface : interfaces()) {
        const InterfaceStatistics s = interface->total_statistics();
        char name[IFNAMSIZ] = {};
        interface->name().copy(name, IFNAMSIZ - 1);
        to.print(
            "%6s: %7lu %7lu %4lu %4lu %4u %5u %10u %9lu %8lu %7lu %4lu %4lu %4u %5u %7u %10u\n",
            name, s.rx_bytes, s.rx_packets, s.rx_errors, s.rx_dropped, 0u, 0u, 0u, s.multicast,
            s.tx_bytes, s.tx_packets, s.tx_errors, s.tx_dropped, 0u, 0u, 0u, 0u);
    }
    return to.status();
}

Result<void> show_route(TextBuffer& to, const PseudoContext&) {
    start_network();
    to.print("%-127s\n",
             "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
    for (const RouteEntry& entry : routes()) {
        if (!entry.destination.is_v4()) continue;
        uint32_t mask = entry.prefix_length ? ~uint32_t{0} << (32 - entry.prefix_length) : 0;
        unsigned flags = RTF_UP | (entry.gateway.is_any() ? 0u : unsigned{RTF_GATEWAY});
        if (entry.prefix_length == 32) flags |= RTF_HOST;
        TextBuffer line;
        line.add(entry.interface->name());
        line.print("\t%08X\t%08X\t%04X\t%d\t%u\t%u\t%08X\t%u\t%u\t%u",
                   word_at(entry.destination.v4_bytes()), word_at(entry.gateway.v4_bytes()), flags,
                   0, 0u, entry.metric, __builtin_bswap32(mask), entry.mtu, 0u, 0u);
        to.add(line.text());
        if (line.size() < 127) to.add_repeated(' ', 127 - line.size());
        to.add("\n");
    }
    return to.status();
}

Result<void> show_arp(TextBuffer& to, const PseudoContext&) {
    start_network();
    to.add("IP address       HW type     Flags       HW address            Mask     Device\n");
    for_each_neighbor([&](const Neighbor& neighbor) {
        if (!neighbor.address.is_v4() || neighbor.state == NeighborState::kFailed) return;
        const uint8_t *ip = neighbor.address.v4_bytes(), *mac = neighbor.mac.bytes;
        TextBuffer address;
        address.print("%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
        to.add(address.text());
        if (address.size() < 16) to.add_repeated(' ', 16 - address.size());
        unsigned flags = neighbor.state == NeighborState::kIncomplete ? 0 : ATF_COM;
        to.print(" 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        ",
                 unsigned{ARPHRD_ETHER}, flags, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        to.add(neighbor.interface->name());
        to.add("\n");
    });
    return to.status();
}

Result<void> show_if_inet6(TextBuffer& to, const PseudoContext&) {
    start_network();
    for (const Interface* interface : interfaces()) {
        for (const InterfaceAddress& entry : interface->addresses()) {
            if (entry.address.is_v4()) continue;
            for (int i = 0; i < 16; i++) to.print("%02x", entry.address.v6_bytes()[i]);
            constexpr unsigned kPermanent = 0x80;
            // IPV6_ADDR_LOOPBACK and so on, not RT_SCOPE_*.
            unsigned scope = entry.address.is_loopback()     ? 0x10
                             : entry.address.is_link_local() ? 0x20
                             : entry.linux_scope() == 200    ? 0x40
                                                             : 0;
            char name[IFNAMSIZ] = {};
            interface->name().copy(name, IFNAMSIZ - 1);
            to.print(" %02x %02x %02x %02x %8s\n", interface->index(),
                     unsigned{entry.prefix_length}, scope, entry.is_permanent ? kPermanent : 0,
                     name);
        }
    }
    return to.status();
}

Result<void> show_igmp(TextBuffer& to, const PseudoContext&) {
    start_network();
    to.add("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
    for (const Interface* interface : interfaces()) {
        int count = 0;
        for (const Interface::Group& group : interface->groups()) count += group.address.is_v4();
        char name[IFNAMSIZ] = {};
        interface->name().copy(name, IFNAMSIZ - 1);
        to.print("%u\t%-10s: %5d %7s\n", interface->index(), name, count, "V3");
        for (const Interface::Group& group : interface->groups()) {
            if (!group.address.is_v4()) continue;
            to.print("\t\t\t\t%08X %5u 0:00000000\t\t0\n", word_at(group.address.v4_bytes()),
                     group.users);
        }
    }
    return to.status();
}

Result<void> show_igmp6(TextBuffer& to, const PseudoContext&) {
    start_network();
    for (const Interface* interface : interfaces()) {
        char name[IFNAMSIZ] = {};
        interface->name().copy(name, IFNAMSIZ - 1);
        for (const Interface::Group& group : interface->groups()) {
            if (group.address.is_v4()) continue;
            // MAF_LOADED, and MAF_NOREPORT for all nodes.
            const uint8_t* bytes = group.address.v6_bytes();
            bool all_nodes = bytes[1] == 2 && word_at(bytes + 2) == 0 && bytes[15] == 1;
            to.print("%-4u %-15s ", interface->index(), name);
            for (int i = 0; i < 16; i++) to.print("%02x", bytes[i]);
            to.print(" %5u %08X 0\n", group.users, all_nodes ? 0xcu : 4u);
        }
    }
    return to.status();
}

Result<void> show_dev_mcast(TextBuffer& to, const PseudoContext&) {
    start_network();
    for (const Interface* interface : interfaces()) {
        if (!interface->has_link_addresses()) continue;
        char name[IFNAMSIZ] = {};
        interface->name().copy(name, IFNAMSIZ - 1);
        for (const Interface::Group& group : interface->groups()) {
            const MacAddress group_mac = ethernet_group(group.address);
            const uint8_t* mac = group_mac.bytes;
            to.print("%-4u %-15s %-5u %-5u %02x%02x%02x%02x%02x%02x\n", interface->index(), name,
                     group.users, 0u, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        }
    }
    return to.status();
}

// ICMP's types by their names in /proc/net/snmp.
struct IcmpName {
    const char* name;
    uint8_t type;
};
constexpr IcmpName kIcmpNames[] = {{"DestUnreachs", 3}, {"TimeExcds", 11},   {"ParmProbs", 12},
                                   {"SrcQuenchs", 4},   {"Redirects", 5},    {"Echos", 8},
                                   {"EchoReps", 0},     {"Timestamps", 13},  {"TimestampReps", 14},
                                   {"AddrMasks", 17},   {"AddrMaskReps", 18}};

void show_icmp(TextBuffer& to) {
    const IcmpCounters& c = icmp_counters(true);
    to.add("Icmp: InMsgs InErrors InCsumErrors");
    for (const IcmpName& icmp : kIcmpNames) to.print(" In%s", icmp.name);
    to.add(" OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost");
    for (const IcmpName& icmp : kIcmpNames) to.print(" Out%s", icmp.name);
    to.print("\nIcmp: %lu %lu %lu", c.in_messages, c.in_errors, c.in_checksum_errors);
    for (const IcmpName& icmp : kIcmpNames) to.print(" %lu", c.in_types[icmp.type]);
    to.print(" %lu %lu %lu 0", c.out_messages, c.out_errors, c.out_rate_limited);
    for (const IcmpName& icmp : kIcmpNames) to.print(" %lu", c.out_types[icmp.type]);
    to.add("\n");
}

void show_udp_counters(TextBuffer& to, const char* name, const UdpCounters& udp) {
    to.print(
        "%s: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
        "IgnoredMulti MemErrors\n",
        name);
    to.print("%s: %lu %lu %lu %lu %lu %lu %lu %lu 0\n", name, udp.in_datagrams, udp.no_ports,
             udp.in_errors, udp.out_datagrams, udp.receive_buffer_errors, udp.send_buffer_errors,
             udp.checksum_errors, udp.ignored_multicast);
}

Result<void> show_snmp(TextBuffer& to, const PseudoContext&) {
    const Counters total = total_counters();
    const IpCounters& ip = total.ip4;
    to.add(
        "Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams "
        "InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes ReasmTimeout "
        "ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates\n");
    to.print("Ip: 2 64 %lu %lu %lu 0 %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu %lu\n",
             ip.in_receives, ip.in_header_errors, ip.in_address_errors, ip.in_unknown_protocols,
             ip.in_discards, ip.in_delivers, ip.out_requests, ip.out_discards, ip.out_no_routes,
             ip.reassembly_timeouts, ip.reassembly_required, ip.reassembly_ok, ip.reassembly_failed,
             ip.fragmentation_ok, ip.fragmentation_failed, ip.fragments_created);
    show_icmp(to);
    if (tcp_proc_files.snmp) TRY(tcp_proc_files.snmp(to));
    show_udp_counters(to, "Udp", total.udp4);
    show_udp_counters(to, "UdpLite", total.udp_lite4);
    return to.status();
}

Result<void> show_netstat(TextBuffer& to, const PseudoContext&) {
    if (tcp_proc_files.netstat) TRY(tcp_proc_files.netstat(to));
    const IpCounters ip = total_counters().ip4;
    to.add(
        "IpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts "
        "InOctets OutOctets InCsumErrors\n");
    to.print("IpExt: %lu %lu %lu %lu %lu %lu %lu %lu %lu\n", ip.in_no_routes, ip.in_truncated,
             ip.in_multicast, ip.out_multicast, ip.in_broadcast, ip.out_broadcast, ip.in_octets,
             ip.out_octets, ip.in_checksum_errors);
    return to.status();
}

constexpr PseudoEntry kFiles[] = {
    PseudoEntry::file("arp", show_arp),
    PseudoEntry::file("dev", show_dev),
    PseudoEntry::file("dev_mcast", show_dev_mcast),
    PseudoEntry::file("if_inet6", show_if_inet6),
    PseudoEntry::file("igmp", show_igmp),
    PseudoEntry::file("igmp6", show_igmp6),
    PseudoEntry::file("netstat", show_netstat),
    PseudoEntry::file("packet", show_packet),
    PseudoEntry::file("raw", show_raw),
    PseudoEntry::file("raw6", show_raw6),
    PseudoEntry::file("route", show_route),
    PseudoEntry::file("snmp", show_snmp),
    PseudoEntry::file("sockstat", show_sockstat),
    PseudoEntry::file("sockstat6", show_sockstat6),
    PseudoEntry::file("tcp", show_tcp),
    PseudoEntry::file("tcp6", show_tcp6),
    PseudoEntry::file("udp", show_udp),
    PseudoEntry::file("udp6", show_udp6),
    PseudoEntry::file("udplite", show_udp_lite),
    PseudoEntry::file("udplite6", show_udp_lite6),
    PseudoEntry::file("unix", show_unix),
};

}  // namespace

constinit const PseudoEntry kProcNetDirectory = PseudoEntry::directory("net", kFiles);

}  // namespace coracle::net
