// The options of the levels IPPROTO_IP and IPPROTO_IPV6 (man 7 ip, man 7 ipv6), for sockets of
// every protocol over IP.
#pragma once

#include <cstdint>

#include "libposix/net/ip.h"
#include "libposix/net/socket.h"

namespace coracle::net {

// Not in the C library's headers.
constexpr int kIpRecvFragSize = 25, kIpv6RecvFragSize = 77;

struct InetOptions {
    // As set: -1 is "the default" where that is different from every value.
    int tos = 0, ttl = -1, mtu_discover = 1 /* IP_PMTUDISC_WANT */, min_ttl = 0;
    int multicast_ttl = 1, multicast_loop = 1, multicast_all = 1, unicast_if = 0;
    int freebind = 0, transparent = 0, bind_address_no_port = 0, nodefrag = 0;
    int receive_error = 0, receive_packet_info = 0, receive_ttl = 0, receive_tos = 0,
        receive_original_destination = 0, receive_fragment_size = 0, checksum = 0,
        pass_security = 0;
    int v6_only = 0, v6_hops = -1, v6_multicast_hops = -1, v6_multicast_loop = 1,
        v6_multicast_all = 1, traffic_class = -1, v6_mtu_discover = 1, v6_mtu = 0,
        v6_dont_fragment = 0, v6_receive_error = 0, v6_receive_packet_info = 0,
        v6_receive_hop_limit = 0, v6_receive_traffic_class = 0, v6_auto_flow_label = 1,
        v6_unicast_if = 0, v6_address_preferences = 0, v6_receive_original_destination = 0,
        v6_receive_fragment_size = 0, v6_min_hops = 0;
    uint32_t multicast_interface = 0, v6_multicast_interface = 0;
    IpAddress multicast_source;  // IP_MULTICAST_IF gave it

    // Memberships, left again when the socket goes.
    struct Membership {
        uint32_t interface_index;
        IpAddress group;
    };
    static constexpr size_t kMaxMemberships = 20;  // net.ipv4.igmp_max_memberships
    Membership memberships[kMaxMemberships];
    size_t membership_count = 0;

    InetOptions() = default;
    InetOptions(const InetOptions&) = delete;
    ~InetOptions();

    // What an accepted socket has from its listener: all but the memberships.
    void inherit(const InetOptions& from);

    bool is_member(const IpAddress& group, uint32_t interface_index) const;

    // ENOPROTOOPT: not one of ours.
    Result<void> set(Socket& socket, int level, int option, UserIn<char> value, unsigned length);
    Result<void> get(Socket& socket, int level, int option, const OptionWriter& to);

    // What they mean for a packet to `to.destination`.
    void apply(IpOutput& to, const Socket& socket) const;

  private:
    InetOptions& operator=(const InetOptions&) = default;
    Result<void> change_membership(bool join, const IpAddress& group, uint32_t interface_index,
                                   const IpAddress& interface_address);
    Result<void> set_group(int level, int option, UserIn<char> value, unsigned length);
    Result<void> set_address_preferences(int value);
    int shown_address_preferences() const;
    Result<void> set_multicast_interface(int level, UserIn<char> value, unsigned length);
};

}  // namespace coracle::net
