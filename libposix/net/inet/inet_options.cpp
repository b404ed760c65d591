#include "libposix/net/inet/inet_options.h"

#include <linux/in6.h>
#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/inet/socket_endpoint.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

// Not in the C library's headers.
constexpr int kIpv6MulticastAll = 29;
constexpr int kLeastMtu = 1280;  // RFC 8200, 5
constexpr int kEcnMask = 3;      // of IP_TOS and IPV6_TCLASS: TCP's own

struct IntOption {
    int level, option;
    int InetOptions::*value;
    int minimum, maximum;
    int at_default = 0;  // what getsockopt(2) says for -1
};
constexpr int kBool = 1;
constexpr IntOption kIntOptions[] = {
    {IPPROTO_IP, IP_TOS, &InetOptions::tos, INT32_MIN, INT32_MAX},
    {IPPROTO_IP, IP_TTL, &InetOptions::ttl, -1, 255, 64},
    {IPPROTO_IP, IP_MTU_DISCOVER, &InetOptions::mtu_discover, 0, 5},
    {IPPROTO_IP, IP_MINTTL, &InetOptions::min_ttl, 0, 255},
    {IPPROTO_IP, IP_MULTICAST_TTL, &InetOptions::multicast_ttl, -1, 255, 1},
    {IPPROTO_IP, IP_MULTICAST_LOOP, &InetOptions::multicast_loop, 0, kBool},
    {IPPROTO_IP, IP_MULTICAST_ALL, &InetOptions::multicast_all, 0, kBool},
    {IPPROTO_IP, IP_FREEBIND, &InetOptions::freebind, 0, kBool},
    {IPPROTO_IP, IP_TRANSPARENT, &InetOptions::transparent, 0, kBool},
    {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &InetOptions::bind_address_no_port, 0, kBool},
    {IPPROTO_IP, IP_NODEFRAG, &InetOptions::nodefrag, 0, kBool},
    {IPPROTO_IP, IP_RECVERR, &InetOptions::receive_error, 0, kBool},
    {IPPROTO_IP, IP_PKTINFO, &InetOptions::receive_packet_info, 0, kBool},
    {IPPROTO_IP, IP_RECVTTL, &InetOptions::receive_ttl, 0, kBool},
    {IPPROTO_IP, IP_RECVTOS, &InetOptions::receive_tos, 0, kBool},
    {IPPROTO_IP, IP_RECVORIGDSTADDR, &InetOptions::receive_original_destination, 0, kBool},
    {IPPROTO_IP, kIpRecvFragSize, &InetOptions::receive_fragment_size, 0, kBool},
    {IPPROTO_IP, IP_PASSSEC, &InetOptions::pass_security, 0, kBool},
    {IPPROTO_IP, IP_CHECKSUM, &InetOptions::checksum, 0, kBool},
    {IPPROTO_IPV6, IPV6_V6ONLY, &InetOptions::v6_only, 0, kBool},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS, &InetOptions::v6_hops, -1, 255, 64},
    {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &InetOptions::v6_multicast_hops, -1, 255, 1},
    {IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &InetOptions::v6_multicast_loop, 0, kBool},
    {IPPROTO_IPV6, kIpv6MulticastAll, &InetOptions::v6_multicast_all, 0, kBool},
    {IPPROTO_IPV6, IPV6_TCLASS, &InetOptions::traffic_class, -1, 255, 0},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER, &InetOptions::v6_mtu_discover, 0, 5},
    {IPPROTO_IPV6, IPV6_DONTFRAG, &InetOptions::v6_dont_fragment, 0, kBool},
    {IPPROTO_IPV6, IPV6_RECVERR, &InetOptions::v6_receive_error, 0, kBool},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO, &InetOptions::v6_receive_packet_info, 0, kBool},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT, &InetOptions::v6_receive_hop_limit, 0, kBool},
    {IPPROTO_IPV6, IPV6_RECVTCLASS, &InetOptions::v6_receive_traffic_class, 0, kBool},
    {IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, &InetOptions::v6_auto_flow_label, 0, kBool},
    {IPPROTO_IPV6, kIpv6RecvFragSize, &InetOptions::v6_receive_fragment_size, 0, kBool},
    {IPPROTO_IPV6, IPV6_MINHOPCOUNT, &InetOptions::v6_min_hops, 0, 255},
    {IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &InetOptions::v6_receive_original_destination, 0, kBool},
    {IPPROTO_IPV6, IPV6_FREEBIND, &InetOptions::freebind, 0, kBool},
    {IPPROTO_IPV6, IPV6_TRANSPARENT, &InetOptions::transparent, 0, kBool},
};

const IntOption* find_option(int level, int option) {
    for (const IntOption& known : kIntOptions) {
        if (known.level == level && known.option == option) return &known;
    }
    return nullptr;
}

// The levels that a socket has, as Linux says of others: do_ip_getsockopt() has an errno of its
// own, and raw sockets of IPv6 have nothing of IPv4's.
Result<void> check_level(const Socket& socket, int level, int unknown_of_v4) {
    const bool is_v6 = socket.family() == AF_INET6;
    if (level == IPPROTO_IP && !(is_v6 && socket.type() == SOCK_RAW)) return {};
    if (level == IPPROTO_IPV6 && is_v6) return {};
    return Error(is_v6 ? ENOPROTOOPT : unknown_of_v4);
}

// What only some types of sockets have.
Result<void> check_type(const Socket& socket, int level, int option) {
    const bool is_stream = socket.type() == SOCK_STREAM, is_raw = socket.type() == SOCK_RAW;
    if (level == IPPROTO_IPV6) {
        const bool is_of_groups = option == IPV6_MULTICAST_IF || option == IPV6_MULTICAST_HOPS;
        if (is_stream && is_of_groups) return Error(ENOPROTOOPT);
        if (is_raw && option == IPV6_V6ONLY) return Error(EINVAL);  // it has a protocol already
        return {};
    }
    switch (option) {
        case IP_NODEFRAG:
            if (!is_raw) return Error(ENOPROTOOPT);
            break;
        case IP_MULTICAST_IF:
        case IP_MULTICAST_TTL:
        case kIpRecvFragSize:
            if (is_stream) return Error(EINVAL);
            break;
        case IP_ADD_MEMBERSHIP:
        case IP_DROP_MEMBERSHIP:
            if (is_stream) return Error(EPROTO);
            break;
    }
    return {};
}

// Options of this level take an int or, shorter, a byte (Linux's ip_setsockopt).
Result<int> read_int_or_byte(UserIn<char> value, unsigned length) {
    if (length >= sizeof(int)) return read_option(value, length);
    if (length < 1) return 0;
    return static_cast<int>(static_cast<uint8_t>(TRY(value.read())));
}

bool may_be_transparent() {
    const auto& credentials = current_credentials();
    return credentials.has_capability(kCapNetAdmin) || credentials.has_capability(kCapNetRaw);
}

}  // namespace

InetOptions::~InetOptions() {
    for (const Membership& membership : std::span(memberships, membership_count)) {
        if (Interface* interface = find_interface(membership.interface_index)) {
            (void)interface->leave_group(membership.group).ok();
        }
    }
}

void InetOptions::inherit(const InetOptions& from) {
    *this = from;
    membership_count = 0;
}

bool InetOptions::is_member(const IpAddress& group, uint32_t interface_index) const {
    return std::any_of(memberships, memberships + membership_count, [&](const Membership& one) {
        return one.group == group && one.interface_index == interface_index;
    });
}

Result<void> InetOptions::change_membership(bool join, const IpAddress& group,
                                            uint32_t interface_index,
                                            const IpAddress& interface_address) {
    if (!group.is_multicast()) return Error(EINVAL);
    Interface* interface = nullptr;
    if (interface_index) {
        interface = find_interface(interface_index);
    } else if (!interface_address.is_any()) {
        interface = find_interface_of(interface_address);
    } else if (auto route = find_route(group, wildcard_like(group), 0)) {
        interface = route->interface;
    }
    if (!interface) return Error(ENODEV);
    auto* end = memberships + membership_count;
    auto* found = std::find_if(memberships, end, [&](const Membership& one) {
        return one.group == group && one.interface_index == interface->index();
    });
    if (!join) {
        if (found == end) return Error(EADDRNOTAVAIL);
        *found = memberships[--membership_count];
        return interface->leave_group(group);
    }
    if (found != end) return Error(EADDRINUSE);
    if (membership_count == kMaxMemberships) return Error(ENOBUFS);
    TRY(interface->join_group(group));
    memberships[membership_count++] = {interface->index(), group};
    return {};
}

Result<void> InetOptions::set_group(int level, int option, UserIn<char> value, unsigned length) {
    if (option == MCAST_JOIN_GROUP || option == MCAST_LEAVE_GROUP) {
        auto request = TRY(read_option_as<group_req>(value, length));
        IpAddress group;
        if (level == IPPROTO_IP && request.gr_group.ss_family == AF_INET) {
            auto& address = reinterpret_cast<sockaddr_in&>(request.gr_group);
            group = IpAddress::from_v4_bytes(&address.sin_addr);
        } else if (level == IPPROTO_IPV6 && request.gr_group.ss_family == AF_INET6) {
            auto& address = reinterpret_cast<sockaddr_in6&>(request.gr_group);
            group = IpAddress::from_v6_bytes(&address.sin6_addr);
        } else {
            return Error(EINVAL);
        }
        return change_membership(option == MCAST_JOIN_GROUP, group, request.gr_interface, {});
    }
    if (level == IPPROTO_IPV6) {
        auto request = TRY(read_option_as<ipv6_mreq>(value, length));
        return change_membership(option == IPV6_JOIN_GROUP,
                                 IpAddress::from_v6_bytes(&request.ipv6mr_multiaddr),
                                 request.ipv6mr_interface, {});
    }
    ip_mreqn request{};
    if (length >= sizeof(ip_mreqn)) {
        request = TRY(read_option_as<ip_mreqn>(value, length));
    } else {
        auto shorter = TRY(read_option_as<ip_mreq>(value, length));
        memcpy(&request, &shorter, sizeof(shorter));
    }
    return change_membership(
        option == IP_ADD_MEMBERSHIP, IpAddress::from_v4_bytes(&request.imr_multiaddr),
        static_cast<uint32_t>(request.imr_ifindex), IpAddress::from_v4_bytes(&request.imr_address));
}

// RFC 5014. No address of ours is temporary, cryptographic or away from home: all choices are met.
Result<void> InetOptions::set_address_preferences(int value) {
    constexpr int kPublicity =
        IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_PUBTMP_DEFAULT;
    constexpr int kHome = IPV6_PREFER_SRC_HOME | IPV6_PREFER_SRC_COA;
    constexpr int kGenerated = IPV6_PREFER_SRC_CGA | IPV6_PREFER_SRC_NONCGA;
    for (int choice : {kPublicity, kHome, kGenerated}) {
        const int chosen = value & choice;
        if (chosen & (chosen - 1)) return Error(EINVAL);  // two at once
    }
    v6_address_preferences =
        value & (IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP | IPV6_PREFER_SRC_COA);
    return {};
}

int InetOptions::shown_address_preferences() const {
    constexpr int kChosen = IPV6_PREFER_SRC_PUBLIC | IPV6_PREFER_SRC_TMP;
    int shown = v6_address_preferences;
    if (!(shown & kChosen)) shown |= IPV6_PREFER_SRC_PUBTMP_DEFAULT;
    if (!(shown & IPV6_PREFER_SRC_COA)) shown |= IPV6_PREFER_SRC_HOME;
    return shown;
}

Result<void> InetOptions::set_multicast_interface(int level, UserIn<char> value, unsigned length) {
    if (level == IPPROTO_IPV6) {
        auto index = static_cast<uint32_t>(TRY(read_option(value, length)));
        if (index && !find_interface(index)) return Error(ENODEV);
        v6_multicast_interface = index;
        return {};
    }
    ip_mreqn request{};
    if (length >= sizeof(ip_mreqn)) {
        request = TRY(read_option_as<ip_mreqn>(value, length));
    } else if (length >= sizeof(ip_mreq)) {
        auto shorter = TRY(read_option_as<ip_mreq>(value, length));
        memcpy(&request, &shorter, sizeof(shorter));
    } else {
        request.imr_address = TRY(read_option_as<in_addr>(value, length));
    }
    IpAddress address = IpAddress::from_v4_bytes(&request.imr_address);
    auto index = static_cast<uint32_t>(request.imr_ifindex);
    if (index == 0 && !address.is_any()) {
        Interface* interface = find_interface_of(address);
        if (!interface) return Error(EADDRNOTAVAIL);
        index = interface->index();
    } else if (index && !find_interface(index)) {
        return Error(EADDRNOTAVAIL);
    }
    multicast_interface = index;
    multicast_source = address;
    return {};
}

Result<void> InetOptions::set(Socket& socket, int level, int option, UserIn<char> value,
                              unsigned length) {
    TRY(check_level(socket, level, ENOPROTOOPT));
    TRY(check_type(socket, level, option));
    bool is_v6 = level == IPPROTO_IPV6;
    if (option == (is_v6 ? IPV6_MULTICAST_IF : IP_MULTICAST_IF)) {
        return set_multicast_interface(level, value, length);
    }
    bool is_group = option == MCAST_JOIN_GROUP || option == MCAST_LEAVE_GROUP ||
                    (is_v6 ? option == IPV6_JOIN_GROUP || option == IPV6_LEAVE_GROUP
                           : option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP);
    if (is_group) return set_group(level, option, value, length);
    if (option == (is_v6 ? IPV6_UNICAST_IF : IP_UNICAST_IF)) {
        auto index = __builtin_bswap32(static_cast<uint32_t>(TRY(read_option(value, length))));
        if (index && !find_interface(index)) return Error(EADDRNOTAVAIL);
        (is_v6 ? v6_unicast_if : unicast_if) = static_cast<int>(index);
        return {};
    }
    if (is_v6 && option == IPV6_ADDR_PREFERENCES) {
        return set_address_preferences(TRY(read_option(value, length)));
    }
    if (is_v6 && option == IPV6_MTU) {
        const int size = TRY(read_option(value, length));
        if (size && size < kLeastMtu) return Error(EINVAL);
        v6_mtu = size;
        return {};
    }
    const IntOption* known = find_option(level, option);
    if (!known) return Error(ENOPROTOOPT);
    int number = is_v6 ? TRY(read_option(value, length)) : TRY(read_int_or_byte(value, length));
    if (known->value == &InetOptions::transparent && number && !may_be_transparent()) {
        return Error(EPERM);
    }
    const bool is_strict = option == (is_v6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_ALL);
    if (known->maximum == kBool && !is_strict) {
        number = number != 0;
    } else if (number < known->minimum || number > known->maximum ||
               (known->value == &InetOptions::ttl && number == 0)) {
        return Error(EINVAL);
    }
    if (known->value == &InetOptions::v6_only && has_local_address(socket)) return Error(EINVAL);
    if (known->value == &InetOptions::tos) number &= 255;
    const bool has_ecn =
        known->value == &InetOptions::tos || known->value == &InetOptions::traffic_class;
    if (has_ecn && number >= 0 && socket.type() == SOCK_STREAM) {
        number = (number & ~kEcnMask) | (std::max(this->*known->value, 0) & kEcnMask);
    }
    this->*known->value = number;
    return {};
}

Result<void> InetOptions::get(Socket& socket, int level, int option, const OptionWriter& to) {
    TRY(check_level(socket, level, EOPNOTSUPP));
    bool is_v6 = level == IPPROTO_IPV6;
    if (option == (is_v6 ? IPV6_MTU : IP_MTU)) {
        SocketAddress peer;
        if (!socket.peer_address(peer).ok()) return Error(ENOTCONN);
        Endpoint remote = TRY(endpoint_of(socket.family(), peer));
        Route route = TRY(find_route(remote.address, {}, remote.scope));
        return to.put_value(static_cast<int>(route.mtu));
    }
    if (is_v6 && option == IPV6_MULTICAST_IF) {
        return to.put_value(static_cast<int>(v6_multicast_interface));
    }
    if (!is_v6 && option == IP_MULTICAST_IF) {
        in_addr address{};
        if (multicast_source.is_v4()) memcpy(&address, multicast_source.v4_bytes(), 4);
        return to.put_value(address);
    }
    if (!is_v6 && option == IP_OPTIONS) return to.put_length(0);
    if (!is_v6 && option == IP_HDRINCL) return to.put_value(0);  // RawSocket has its own
    if (option == (is_v6 ? IPV6_UNICAST_IF : IP_UNICAST_IF)) {
        const auto index = static_cast<uint32_t>(is_v6 ? v6_unicast_if : unicast_if);
        return to.put_value(static_cast<int>(__builtin_bswap32(index)));
    }
    if (is_v6 && option == IPV6_ADDR_PREFERENCES) return to.put_value(shown_address_preferences());
    const IntOption* known = find_option(level, option);
    if (!known) return Error(ENOPROTOOPT);
    int number = this->*known->value;
    if (number == -1) number = known->at_default;
    // A short room gets the value in a byte, where it fits one (Linux's do_ip_getsockopt).
    if (!is_v6 && to.room() < sizeof(int) && to.room() > 0 && number >= 0 && number <= 255) {
        auto byte = static_cast<uint8_t>(number);
        return to.put(&byte, 1);
    }
    return to.put_value(number);
}

void InetOptions::apply(IpOutput& to, const Socket& socket) const {
    bool is_v4 = to.destination.is_v4();
    bool is_group = to.destination.is_multicast();
    if (is_v4) {
        to.traffic_class = static_cast<uint8_t>(tos);
        int hops = is_group ? multicast_ttl : ttl;
        to.hop_limit = static_cast<uint8_t>(hops < 0 ? 0 : hops);
        to.dont_fragment = mtu_discover == IP_PMTUDISC_DO || mtu_discover == IP_PMTUDISC_PROBE;
        to.loops_multicast = multicast_loop;
        to.stays_on_node = is_group && hops == 0;
    } else {
        to.traffic_class = static_cast<uint8_t>(std::max(traffic_class, 0));
        int hops = is_group ? v6_multicast_hops : v6_hops;
        to.hop_limit = static_cast<uint8_t>(hops < 0 ? 0 : hops);
        to.dont_fragment = v6_dont_fragment || v6_mtu_discover == IPV6_PMTUDISC_DO ||
                           v6_mtu_discover == IPV6_PMTUDISC_PROBE;
        to.loops_multicast = v6_multicast_loop;
        if (v6_mtu) to.largest_fragment = static_cast<uint32_t>(v6_mtu);
        to.stays_on_node = is_group && hops == 0;
    }
    if (to.interface_index == 0) {
        to.interface_index = static_cast<uint32_t>(socket.options.bound_device);
    }
    if (to.interface_index == 0) {
        to.interface_index = is_group ? (is_v4 ? multicast_interface : v6_multicast_interface)
                                      : static_cast<uint32_t>(is_v4 ? unicast_if : v6_unicast_if);
    }
    if (is_group && is_v4 && to.source.is_any() && !multicast_source.is_any()) {
        to.source = multicast_source;
    }
}

}  // namespace coracle::net
