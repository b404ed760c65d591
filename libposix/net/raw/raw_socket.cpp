#include "libposix/net/raw/raw_socket.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>

#include "kernel-min/lib/random.h"
#include "kernel-min/memory/heap.h"
#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/filter/ip_filter.h"
#include "libposix/net/inet/inet_family.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/ip_output.h"
#include "libposix/net/network.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

constexpr int kIcmpFilter = 1;  // ICMP_FILTER; ICMPV6_FILTER has the same number
constexpr size_t kEchoHeader = 8, kEchoIdentifier = 4;

RawSocketList sockets;

bool input(const Buffer& packet, const IpInput& how) {
    bool taken = false;
    for (RawSocket& socket : sockets) taken = socket.offer(packet, how) || taken;
    return taken;
}

void error_input(const IcmpError& error) {
    for (RawSocket& socket : sockets) socket.error_input(error);
}

Result<RefPtr<Socket>> create_raw(Socket::Kind kind, uint32_t flags) {
    if (!current_credentials().has_capability(kCapNetRaw)) return Error(EPERM);
    SocketPlace place = TRY(make_socket_place());
    return RefPtr<Socket>(TRY(make_ref<RawSocket>(std::move(place), flags, kind)));
}

Result<RefPtr<Socket>> create_ping(Socket::Kind kind, uint32_t flags) {
    int expected = kind.family == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    if (kind.protocol != expected) return Error(EPROTONOSUPPORT);
    SocketPlace place = TRY(make_socket_place());
    return RefPtr<Socket>(TRY(make_ref<RawSocket>(std::move(place), flags, kind)));
}

}  // namespace

const RawSocketList& raw_sockets() {
    return sockets;
}

void register_raw_sockets() {
    register_inet_socket(SOCK_DGRAM, IPPROTO_ICMP, create_ping);
    register_inet_socket(SOCK_DGRAM, IPPROTO_ICMPV6, create_ping);
    register_inet_socket(SOCK_RAW, 0, create_raw);
    set_raw_input(input, error_input);
}

RawSocket::RawSocket(SocketPlace place, uint32_t flags, Kind kind)
    : DatagramSocket(std::move(place), flags, kind), user_(current_credentials().euid) {
    sends_headers_ = kind.protocol == IPPROTO_RAW;
    if (!is_ping()) options.set(SO_REUSEADDR, true);
    if (kind.family == AF_INET6 && kind.protocol == IPPROTO_ICMPV6) {
        checksum_offset_ = offsetof(icmp6hdr, icmp6_cksum);
    }
    sockets.push_back(*this);
}

bool RawSocket::passes_filter(const Buffer& packet) const {
    uint8_t type;
    if (is_ping()) {
        uint8_t header[kEchoHeader];
        if (!packet.copy_out(0, header, sizeof(header))) return false;
        uint8_t reply = family() == AF_INET ? uint8_t{ICMP_ECHOREPLY} : uint8_t{ICMPV6_ECHO_REPLY};
        return header[0] == reply && read_be16(header + kEchoIdentifier) == local_.port;
    }
    bool is_icmp =
        kind().protocol == (family() == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    if (!is_icmp) return true;
    if (!packet.copy_out(0, &type, 1)) return false;
    if (family() == AF_INET) return type >= 32 || !(icmp_filter_ >> type & 1);
    return !(icmp6_filter_[type / 32] >> (type % 32) & 1);
}

bool RawSocket::offer(const Buffer& packet, const IpInput& how) {
    bool is_v4 = how.destination.is_v4();
    if (kind().protocol != how.protocol || is_v4 != (family() == AF_INET)) return false;
    if (!local_.address.is_any() && !(local_.address == how.destination)) return false;
    if (is_connected_ && !(remote_.address == how.source)) return false;
    uint32_t index = how.interface->index();
    if (options.bound_device && static_cast<uint32_t>(options.bound_device) != index) return false;
    if (!passes_filter(packet)) return false;
    // An IPv4 raw socket sees the header, others see what is behind it (man 7 raw).
    size_t header = is_v4 && !is_ping() ? how.header_length : 0;
    size_t size = packet.chain_length();
    if (options.filter) {
        auto before = static_cast<int32_t>(header);
        size_t kept = options.filter->run(ip_filter_input(packet, how, 0, before));
        if (kept == 0) {
            note_filtered();
            return true;
        }
        header = std::min(header, kept);
        size = std::min(size, kept - header);
    }
    BufferPtr copy = Buffer::allocate(header + size);
    if (!copy) return false;
    if (header) memcpy(copy->append(header), packet.data() - how.header_length, header);
    packet.copy_out(0, copy->append(size), size);
    enqueue(std::move(copy), {.source = how.source,
                              .destination = how.destination,
                              .interface_index = index,
                              .hop_limit = how.hop_limit,
                              .traffic_class = how.traffic_class,
                              .largest_fragment = static_cast<uint16_t>(how.largest_fragment)});
    return true;
}

void RawSocket::error_input(const IcmpError& error) {
    if (error.protocol != kind().protocol) return;
    if (error.source.is_v4() != (family() == AF_INET)) return;
    if (is_ping() && read_be16(error.transport + kEchoIdentifier) != local_.port) return;
    if (is_connected_ && !(remote_.address == error.destination)) return;
    icmp_error(error, {error.transport, error.transport_length}, 0);
}

Result<void> RawSocket::claim_identifier(uint16_t wanted) {
    for (int attempt = 0; attempt < 65536; attempt++) {
        uint16_t chosen = wanted ? wanted : static_cast<uint16_t>(random_u64());
        bool is_taken = chosen == 0;
        for (const RawSocket& other : sockets) {
            is_taken = is_taken || (&other != this && other.is_ping() &&
                                    other.family() == family() && other.local_.port == chosen);
        }
        if (!is_taken) {
            local_.port = chosen;
            return {};
        }
        if (wanted) break;
    }
    return Error(EADDRINUSE);
}

Result<void> RawSocket::bind(const SocketAddress& address) {
    Endpoint local = TRY(endpoint_of(family(), address));
    TRY(check_bindable(local, inet_.freebind || inet_.transparent));
    if (is_ping()) {
        TRY(claim_identifier(local.port));
        local.port = local_.port;
    } else {
        // What raw sockets show for a port is their protocol.
        local.port = 0;
    }
    local_ = local;
    address_is_bound_ = !local.address.is_any();
    return {};
}

Result<void> RawSocket::connect(const SocketAddress& address, bool) {
    TRY(connect_to(address));
    if (is_ping() && local_.port == 0) TRY(claim_identifier(0));
    return {};
}

Result<void> RawSocket::set_option(int level, int option, UserIn<char> value, unsigned length) {
    if (level == IPPROTO_IP && option == IP_HDRINCL) {
        if (is_ping() || family() != AF_INET) return Error(ENOPROTOOPT);
        sends_headers_ = TRY(read_option(value, length)) != 0;
        return {};
    }
    if (level == SOL_RAW && option == kIcmpFilter && family() == AF_INET) {
        if (kind().protocol != IPPROTO_ICMP) return Error(EOPNOTSUPP);
        // A shorter one changes its first bytes alone.
        auto* filter = reinterpret_cast<char*>(&icmp_filter_);
        return value.read_array(filter, std::min<size_t>(length, sizeof(icmp_filter_)));
    }
    if (level == IPPROTO_ICMPV6 && option == kIcmpFilter && family() == AF_INET6) {
        if (kind().protocol != IPPROTO_ICMPV6) return Error(ENOPROTOOPT);
        auto* filter = reinterpret_cast<char*>(icmp6_filter_);
        return value.read_array(filter, std::min<size_t>(length, sizeof(icmp6_filter_)));
    }
    if (family() == AF_INET6 && option == IPV6_CHECKSUM &&
        (level == IPPROTO_IPV6 || level == SOL_RAW)) {
        int offset = TRY(read_option(value, length));
        if (kind().protocol == IPPROTO_ICMPV6 && level == IPPROTO_IPV6) return Error(EINVAL);
        if (offset > 0 && offset % 2) return Error(EINVAL);
        checksum_offset_ = offset < 0 ? -1 : offset;
        return {};
    }
    return DatagramSocket::set_option(level, option, value, length);
}

Result<void> RawSocket::get_option(int level, int option, const OptionWriter& to) {
    if (level == IPPROTO_IP && option == IP_HDRINCL && !is_ping() && family() == AF_INET) {
        return to.put_value(int{sends_headers_});
    }
    if (level == SOL_RAW && option == kIcmpFilter && kind().protocol == IPPROTO_ICMP) {
        return to.put_value(icmp_filter_);
    }
    if (level == IPPROTO_ICMPV6 && option == kIcmpFilter && kind().protocol == IPPROTO_ICMPV6) {
        return to.put(icmp6_filter_, sizeof(icmp6_filter_));
    }
    if (family() == AF_INET6 && option == IPV6_CHECKSUM &&
        (level == IPPROTO_IPV6 || level == SOL_RAW)) {
        constexpr int kOfIcmp = 2;  // where ICMPv6 has it
        return to.put_value(kind().protocol == IPPROTO_ICMPV6 ? kOfIcmp : int{checksum_offset_});
    }
    if (level == SOL_RAW) return Error(ENOPROTOOPT);
    return DatagramSocket::get_option(level, option, to);
}

// The checksum that the kernel makes: of ICMPv6, and where IPV6_CHECKSUM asks for it (RFC
// 3542, 3.1).
Result<void> RawSocket::complete_icmp(Buffer& packet, const Target& target) const {
    if (checksum_offset_ < 0 || target.to.address.is_v4()) return {};
    auto at = static_cast<size_t>(checksum_offset_);
    auto length = static_cast<uint32_t>(packet.chain_length());
    if (at + 2 > packet.length()) return Error(EINVAL);
    uint16_t sum = checksum_fold(pseudo_header_sum(target.how.source, target.to.address,
                                                   static_cast<uint8_t>(kind().protocol), length));
    memcpy(packet.data() + at, &sum, 2);
    packet.info.checksum = ChecksumState::kPartial;
    packet.info.checksum_start = 0;
    packet.info.checksum_offset = static_cast<uint16_t>(at);
    return {};
}

Result<size_t> RawSocket::send_ping(SendMessage& message) {
    bool is_v4 = family() == AF_INET;
    size_t size = message.data.size();
    if (size < kEchoHeader) return Error(EINVAL);
    Target target;
    TRY(choose_target(message, target));
    if (local_.port == 0) TRY(claim_identifier(0));
    TRY(wait_for_room(message.flags));
    BufferPtr packet = TRY(copy_message_in(message.data, size, kPacketHeadroom));
    uint8_t* icmp = packet->data();
    uint8_t request = is_v4 ? uint8_t{ICMP_ECHO} : uint8_t{ICMPV6_ECHO_REQUEST};
    if (icmp[0] != request || icmp[1] != 0) return Error(EINVAL);
    write_be16(icmp + kEchoIdentifier, local_.port);
    memset(icmp + 2, 0, 2);
    if (is_v4) {
        auto sum = static_cast<uint16_t>(~checksum_fold(checksum_add_chain(*packet, 0, size, 0)));
        memcpy(icmp + 2, &sum, 2);
    } else {
        TRY(complete_icmp(*packet, target));
    }
    IcmpCounters& counted = icmp_counters(is_v4);
    counted.out_messages++;
    counted.out_types[request]++;
    target.how.protocol = static_cast<uint8_t>(kind().protocol);
    target.how.route = &target.route;
    SendScope scope(send_memory_);
    TRY(ip_output(std::move(packet), target.how));
    return size;
}

Result<size_t> RawSocket::send(SendMessage& message) {
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    if (is_ping()) return send_ping(message);
    size_t size = message.data.size();
    if (size > kMaxIpPacket) return Error(EMSGSIZE);
    Target target;
    TRY(choose_target(message, target));
    TRY(wait_for_room(message.flags));
    BufferPtr packet = TRY(copy_message_in(message.data, size, kPacketHeadroom));
    if (sends_headers_ && family() == AF_INET) {
        SendScope scope(send_memory_);
        TRY(ip_output_with_header(std::move(packet), target.how.interface_index));
        return size;
    }
    TRY(complete_icmp(*packet, target));
    target.how.protocol = static_cast<uint8_t>(kind().protocol);
    target.how.route = &target.route;
    SendScope scope(send_memory_);
    Result<void> sent = ip_output(std::move(packet), target.how);
    if (!sent && sent.error_code() == EMSGSIZE) local_error(EMSGSIZE, target, target.route.mtu);
    TRY(sent);
    return size;
}

}  // namespace coracle::net
