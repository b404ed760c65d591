// Counters of the protocols below TCP, named as in /proc/net/snmp (RFC 4293, RFC 4113). What every
// packet counts, each CPU counts by itself; readers take the sum.
#pragma once

#include "kernel-min/sched/per_cpu.h"

namespace coracle::net {

struct IpCounters {
    uint64_t in_receives, in_header_errors, in_address_errors, in_unknown_protocols, in_discards,
        in_delivers, out_requests, out_discards, out_no_routes, reassembly_timeouts,
        reassembly_required, reassembly_ok, reassembly_failed, fragmentation_ok,
        fragmentation_failed, fragments_created, in_no_routes, in_truncated, in_checksum_errors,
        in_octets, out_octets, in_multicast, out_multicast, in_broadcast, out_broadcast;
};

struct IcmpCounters {
    uint64_t in_messages, in_errors, in_checksum_errors, out_messages, out_errors, out_rate_limited;
    uint64_t in_types[256], out_types[256];
};

struct UdpCounters {
    uint64_t in_datagrams, no_ports, in_errors, out_datagrams, receive_buffer_errors,
        send_buffer_errors, checksum_errors, ignored_multicast;
};

struct Counters {
    IpCounters ip4, ip6;
    UdpCounters udp4, udp6, udp_lite4, udp_lite6;
    uint64_t gro_merged;  // segments that joined the one before them
};
inline constinit PerCpu<Counters> counters_of_cpus;

// This CPU's.
inline Counters& counters() {
    return counters_of_cpus.current();
}
inline IpCounters& ip_counters(bool is_v4) {
    return is_v4 ? counters().ip4 : counters().ip6;
}
inline UdpCounters& udp_counters(bool is_v4, bool is_lite = false) {
    Counters& own = counters();
    if (is_lite) [[unlikely]]
        return is_v4 ? own.udp_lite4 : own.udp_lite6;
    return is_v4 ? own.udp4 : own.udp6;
}

// What has been counted on all CPUs.
inline Counters total_counters() {
    Counters total{};
    counters_of_cpus.for_each([&](const Counters& of_cpu) { add_counters(total, of_cpu); });
    return total;
}

inline constinit IcmpCounters icmp4_counters = {}, icmp6_counters = {};
inline IcmpCounters& icmp_counters(bool is_v4) {
    return is_v4 ? icmp4_counters : icmp6_counters;
}

}  // namespace coracle::net
