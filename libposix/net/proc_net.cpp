#include "libposix/net/proc_net.h"

#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>

#include "libposix/net/counters.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/network.h"
#include "libposix/net/prefix.h"
#include "libposix/net/udp/udp_socket.h"

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
        const InterfaceStatistics& s = interface->statistics;
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

Result<void> show_udp_table(TextBuffer& to, bool v6) {
    if (v6) {
        to.add(
            "  sl  local_address                         remote_address                        st "
            "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n");
    } else {
        to.print(
            "%-127s\n",
            "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
            "  timeout inode ref pointer drops ");
    }
    for (size_t bucket = 0; bucket < kUdpBuckets; bucket++) {
        for (const UdpSocket& socket : udp_bucket(bucket)) {
            if ((socket.family() == AF_INET6) != v6) continue;
            constexpr unsigned kEstablished = 1, kClosed = 7;
            TextBuffer line;
            line.print("%5u: ", static_cast<unsigned>(bucket));
            put_proc_endpoint(line, socket.local(), v6);
            line.add(" ");
            put_proc_endpoint(line, socket.remote(), v6);
            line.print(
                " %02X %08X:%08X 00:00000000 00000000 %5u        0 %lu 2 0000000000000000 %lu",
                socket.is_connected() ? kEstablished : kClosed, 0u,
                static_cast<unsigned>(socket.queued_memory()), socket.user(), socket.inode().number,
                socket.drops());
            to.add(line.text());
            if (!v6 && line.size() < 127) to.add_repeated(' ', 127 - line.size());
            to.add("\n");
        }
    }
    return to.status();
}
Result<void> show_udp(TextBuffer& to, const PseudoContext&) {
    return show_udp_table(to, false);
}
Result<void> show_udp6(TextBuffer& to, const PseudoContext&) {
    return show_udp_table(to, true);
}

Result<void> show_tcp_table(TextBuffer& to, bool v6) {
    if (v6) {
        to.add(
            "  sl  local_address                         remote_address                        st "
            "tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n");
    } else {
        to.print("%-149s\n",
                 "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid"
                 "  timeout inode");
    }
    if (tcp_proc_files.connections) TRY(tcp_proc_files.connections(to, v6));
    return to.status();
}
Result<void> show_tcp(TextBuffer& to, const PseudoContext&) {
    return show_tcp_table(to, false);
}
Result<void> show_tcp6(TextBuffer& to, const PseudoContext&) {
    return show_tcp_table(to, true);
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
    const IcmpCounters& c = counters.icmp4;
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

Result<void> show_snmp(TextBuffer& to, const PseudoContext&) {
    const IpCounters& ip = counters.ip4;
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
    const UdpCounters& udp = counters.udp4;
    to.add(
        "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors "
        "IgnoredMulti MemErrors\n");
    to.print("Udp: %lu %lu %lu %lu %lu %lu %lu %lu 0\n", udp.in_datagrams, udp.no_ports,
             udp.in_errors, udp.out_datagrams, udp.receive_buffer_errors, udp.send_buffer_errors,
             udp.checksum_errors, udp.ignored_multicast);
    return to.status();
}

Result<void> show_netstat(TextBuffer& to, const PseudoContext&) {
    if (tcp_proc_files.netstat) TRY(tcp_proc_files.netstat(to));
    const IpCounters& ip = counters.ip4;
    to.add(
        "IpExt: InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts "
        "InOctets OutOctets InCsumErrors\n");
    to.print("IpExt: %lu %lu %lu %lu %lu %lu %lu %lu %lu\n", ip.in_no_routes, ip.in_truncated,
             ip.in_multicast, ip.out_multicast, ip.in_broadcast, ip.out_broadcast, ip.in_octets,
             ip.out_octets, ip.in_checksum_errors);
    return to.status();
}

Result<void> show_sockstat(TextBuffer& to, const PseudoContext&) {
    unsigned udp_count = 0;
    size_t memory = 0;
    for (size_t bucket = 0; bucket < kUdpBuckets; bucket++) {
        for (const UdpSocket& socket : udp_bucket(bucket)) {
            udp_count += socket.family() == AF_INET;
            memory += socket.queued_memory();
        }
    }
    if (tcp_proc_files.sockstat) TRY(tcp_proc_files.sockstat(to));
    to.print("UDP: inuse %u mem %lu\n", udp_count, memory / kPageSize);
    return to.status();
}

constexpr PseudoEntry kFiles[] = {
    PseudoEntry::file("arp", show_arp),           PseudoEntry::file("dev", show_dev),
    PseudoEntry::file("if_inet6", show_if_inet6), PseudoEntry::file("netstat", show_netstat),
    PseudoEntry::file("route", show_route),       PseudoEntry::file("snmp", show_snmp),
    PseudoEntry::file("sockstat", show_sockstat), PseudoEntry::file("tcp", show_tcp),
    PseudoEntry::file("tcp6", show_tcp6),         PseudoEntry::file("udp", show_udp),
    PseudoEntry::file("udp6", show_udp6),
};

}  // namespace

constinit const PseudoEntry kProcNetDirectory = PseudoEntry::directory("net", kFiles);

void put_proc_endpoint(TextBuffer& to, const Endpoint& endpoint, bool v6) {
    if (v6) {
        const uint8_t* bytes = endpoint.address.v6_bytes();
        for (int i = 0; i < 16; i += 4) to.print("%08X", word_at(bytes + i));
    } else {
        to.print("%08X", word_at(endpoint.address.v4_bytes()));
    }
    to.print(":%04X", unsigned{endpoint.port});
}

}  // namespace coracle::net
