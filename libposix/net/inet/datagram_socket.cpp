#include "libposix/net/inet/datagram_socket.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>

#include "libposix/net/ip/ip_output.h"
#include "libposix/time/clock.h"

namespace coracle::net {

namespace {

// A message's own piece of a long one: large blocks are scarce.
constexpr size_t kPieceCapacity = buffer_capacity(3);

}  // namespace

DatagramSocket::DatagramSocket(SocketPlace place, uint32_t flags, Kind kind)
    : Socket(std::move(place.path), std::move(place.inode), flags, kind) {
    if (kind.family == AF_INET) local_.address = remote_.address = IpAddress::any_v4();
    inet_.multicast_all = kind.family == AF_INET;
}

Result<BufferPtr> copy_message_in(IoBuffer& from, size_t size, size_t headroom) {
    size_t first_size = std::min(size, kPieceCapacity - headroom);
    BufferPtr first = Buffer::allocate(headroom + first_size, headroom);
    if (!first) return Error(ENOBUFS);
    Buffer* last = first.get();
    size_t piece = first_size;
    for (;;) {
        if (from.copy_in(last->append(piece), piece) != piece) return Error(EFAULT);
        size -= piece;
        if (size == 0) return first;
        piece = std::min(size, kPieceCapacity);
        BufferPtr next = Buffer::allocate(piece);
        if (!next) return Error(ENOBUFS);
        Buffer* added = next.get();
        last->set_next(std::move(next));
        last = added;
    }
}

bool DatagramSocket::enqueue(BufferPtr message, const DatagramInfo& info) {
    size_t memory = message->chain_memory_size();
    bool is_full = queued_memory_ + memory > options.receive_buffer ||
                   (queued_memory_ && buffers_are_exhausted());
    if (receive_is_shut_ || is_full) {
        drops_++;
        return false;
    }
    queued_memory_ += memory;
    auto& kept = message->control<DatagramInfo>();
    kept = info;
    kept.length = static_cast<uint32_t>(message->chain_length());
    if (options.timestamp) kept.time_ns = realtime_ns();
    queue_.push_back(std::move(message));
    changed_.wake_one(POLLIN | POLLRDNORM);
    return true;
}

bool DatagramSocket::join_last(BufferPtr& message, const DatagramInfo& info) {
    constexpr uint32_t kMaxSegments = 64, kMaxBytes = 65507;  // UDP_MAX_SEGMENTS
    Buffer* last = queue_.last();
    if (!last || receive_is_shut_) return false;
    auto& kept = last->control<DatagramInfo>();
    uint32_t step = kept.segment_size ? kept.segment_size : kept.length;
    size_t length = message->chain_length(), memory = message->chain_memory_size();
    // Only the last one may be shorter.
    bool is_next = step != 0 && kept.length % step == 0 && length != 0 && length <= step &&
                   kept.length / step < kMaxSegments && kept.length + length <= kMaxBytes;
    bool is_same_flow =
        kept.source == info.source && kept.destination == info.destination &&
        kept.source_port == info.source_port && kept.destination_port == info.destination_port &&
        kept.traffic_class == info.traffic_class && kept.hop_limit == info.hop_limit &&
        kept.interface_index == info.interface_index;
    if (!is_next || !is_same_flow || queued_memory_ + memory > options.receive_buffer ||
        buffers_are_exhausted()) {
        return false;
    }
    queued_memory_ += memory;
    kept.segment_size = static_cast<uint16_t>(step);
    kept.length += static_cast<uint32_t>(length);
    last->last()->set_next(std::move(message));
    return true;
}

void DatagramSocket::icmp_error(const IcmpError& error, std::span<const uint8_t> payload,
                                uint16_t port) {
    bool is_v4 = error.destination.is_v4();
    int discover = is_v4 ? inet_.mtu_discover : inet_.v6_mtu_discover;
    bool is_hard = error.is_fatal;
    if (error.error == EMSGSIZE) {
        if (discover == IP_PMTUDISC_DONT) return;
        is_hard = true;
    }
    if (!receives_errors()) {
        // RFC 1122, 4.1.3.3: sockets without the queue learn of hard errors, when connected.
        if (!is_hard || !is_connected_) return;
    } else if (errors_.memory() < options.receive_buffer) {
        errors_.push({.destination = error.destination,
                      .offender = error.offender,
                      .error = static_cast<uint32_t>(error.error),
                      .info = error.mtu,
                      .data = 0,
                      .port = port,
                      .origin = is_v4 ? uint8_t{SO_EE_ORIGIN_ICMP} : uint8_t{SO_EE_ORIGIN_ICMP6},
                      .type = error.type,
                      .code = error.code},
                     payload);
    }
    error_ = error.error;
    changed_.wake_all(POLLIN | POLLERR | POLLOUT);
}

void DatagramSocket::local_error(int error, const Target& target, uint32_t info) {
    if (!receives_errors() || errors_.memory() >= options.receive_buffer) return;
    errors_.push({.destination = target.to.address,
                  .offender = wildcard_like(target.to.address),
                  .error = static_cast<uint32_t>(error),
                  .info = info,
                  .data = 0,
                  .port = target.to.port,
                  .origin = SO_EE_ORIGIN_LOCAL,
                  .type = 0,
                  .code = 0});
}

uint32_t DatagramSocket::poll_events() {
    uint32_t events = send_memory_.poll_events(options.send_buffer);
    if (!queue_.is_empty() || receive_is_shut_) events |= POLLIN | POLLRDNORM;
    if (receive_is_shut_) events |= POLLRDHUP;
    if (receive_is_shut_ && send_is_shut_) events |= POLLHUP;
    if (error_ != 0 || !errors_.is_empty()) events |= error_events();
    return events;
}

Result<size_t> DatagramSocket::bytes_to_receive() {
    // Of the first message (man 7 udp: SIOCINQ).
    return queue_.is_empty() ? size_t{0} : size_t{queue_.first()->control<DatagramInfo>().length};
}

Result<void> DatagramSocket::shutdown(int how) {
    bool was_connected = is_connected_;
    // Linux shuts down an unconnected one, too, and says ENOTCONN.
    receive_is_shut_ = receive_is_shut_ || how == SHUT_RD || how == SHUT_RDWR;
    send_is_shut_ = send_is_shut_ || how == SHUT_WR || how == SHUT_RDWR;
    changed_.wake_all();
    if (!was_connected) return Error(ENOTCONN);
    return {};
}

Result<void> DatagramSocket::local_address(SocketAddress& to) {
    write_endpoint(family(), local_, to);
    return {};
}

Result<void> DatagramSocket::peer_address(SocketAddress& to) {
    if (!is_connected_) return Error(ENOTCONN);
    write_endpoint(family(), remote_, to);
    return {};
}

Result<void> DatagramSocket::set_option(int level, int option, UserIn<char> value,
                                        unsigned length) {
    return inet_.set(*this, level, option, value, length);
}

Result<void> DatagramSocket::get_option(int level, int option, const OptionWriter& to) {
    return inet_.get(*this, level, option, to);
}

Result<void> DatagramSocket::connect_to(const SocketAddress& address) {
    if (address.length < sizeof(sa_family_t)) return Error(EINVAL);
    if (address.family() == AF_UNSPEC) {
        is_connected_ = false;
        remote_ = {};
        if (family() == AF_INET) remote_.address = IpAddress::any_v4();
        if (!address_is_bound_) local_.address = wildcard_like(remote_.address);
        return {};
    }
    Endpoint to = TRY(endpoint_of(family(), address));
    // The unspecified address is this machine (Linux; RFC 1122, 3.2.1.3 has it as a source alone).
    if (to.address.is_any()) {
        to.address = to.address.is_v4() ? IpAddress::loopback_v4() : IpAddress::loopback_v6();
    }
    if (to.address.is_v4() && inet_.v6_only) return Error(ENETUNREACH);
    uint32_t interface_index = to.scope ? to.scope : static_cast<uint32_t>(options.bound_device);
    Route route = TRY(find_route(to.address, local_.address, interface_index));
    TRY(check_gateway(*this, 0, route, to.address));
    if (route.is_broadcast && !options.is_on(SO_BROADCAST)) return Error(EACCES);
    if (!address_is_bound_ || local_.address.is_any()) local_.address = route.source;
    remote_ = to;
    is_connected_ = true;
    return {};
}

Result<void> DatagramSocket::wait_for_room(uint32_t message_flags) {
    return send_memory_.wait_for_room(options.send_buffer, wait_to_send(message_flags), error_,
                                      send_is_shut_);
}

Result<void> DatagramSocket::read_control(const ControlMessages& control, Target& target) {
    return control.for_each([&](const ControlMessages::Message& message) -> Result<void> {
        auto is = [&](int level, int type, size_t size) {
            return message.level == level && message.type == type && message.data.size() >= size;
        };
        auto number = [&] {
            int value = 0;
            memcpy(&value, message.data.data(), std::min(sizeof(value), message.data.size()));
            return value;
        };
        if (message.level == SOL_SOCKET) return {};
        if (is(IPPROTO_IP, IP_PKTINFO, sizeof(in_pktinfo))) {
            in_pktinfo info;
            memcpy(&info, message.data.data(), sizeof(info));
            target.how.interface_index = static_cast<uint32_t>(info.ipi_ifindex);
            if (info.ipi_spec_dst.s_addr) {
                target.how.source = IpAddress::from_v4_bytes(&info.ipi_spec_dst);
            }
            return {};
        }
        if (is(IPPROTO_IPV6, IPV6_PKTINFO, sizeof(in6_pktinfo))) {
            in6_pktinfo info;
            memcpy(&info, message.data.data(), sizeof(info));
            target.how.interface_index = static_cast<uint32_t>(info.ipi6_ifindex);
            IpAddress source = IpAddress::from_v6_bytes(&info.ipi6_addr);
            if (!source.is_any()) {
                if (!is_local_address(source)) return Error(EINVAL);
                target.how.source = source;
            }
            return {};
        }
        bool is_hops = is(IPPROTO_IP, IP_TTL, 4) || is(IPPROTO_IPV6, IPV6_HOPLIMIT, 4);
        if (is_hops) {
            int value = number();
            if (value < (message.level == IPPROTO_IP ? 1 : -1) || value > 255) return Error(EINVAL);
            if (value >= 0) target.how.hop_limit = static_cast<uint8_t>(value);
            return {};
        }
        if (is(IPPROTO_IP, IP_TOS, 1) || is(IPPROTO_IPV6, IPV6_TCLASS, 4)) {
            target.how.traffic_class = static_cast<uint8_t>(number());
            return {};
        }
        return protocol_control(message, target);
    });
}

Result<void> DatagramSocket::choose_target(const SendMessage& message, Target& target) {
    if (send_is_shut_) return broken_pipe(message.flags);
    if (int error = take_error()) return Error(error);
    if (message.to) {
        target.to = TRY(endpoint_of(family(), *message.to));
        if (target.to.address.is_any()) {
            target.to.address =
                target.to.address.is_v4() ? IpAddress::loopback_v4() : IpAddress::loopback_v6();
        }
        if (target.to.address.is_v4() && inet_.v6_only) return Error(ENETUNREACH);
    } else if (is_connected_) {
        target.to = remote_;
    } else {
        return Error(EDESTADDRREQ);
    }
    target.how.destination = target.to.address;
    target.how.interface_index = target.to.scope;
    // A wildcard says nothing, and an address of the other family cannot be a source.
    bool same_family = local_.address.is_v4() == target.to.address.is_v4();
    bool is_usable = same_family && !local_.address.is_any() && !local_.address.is_multicast();
    target.how.source = is_usable ? local_.address : wildcard_like(target.to.address);
    inet_.apply(target.how, *this);
    if (message.control) TRY(read_control(*message.control, target));
    target.route =
        TRY(find_route(target.to.address, target.how.source, target.how.interface_index));
    TRY(check_gateway(*this, message.flags, target.route, target.to.address));
    if (target.route.is_broadcast && !options.is_on(SO_BROADCAST)) return Error(EACCES);
    if (target.how.source.is_any()) target.how.source = target.route.source;
    return {};
}

BufferPtr DatagramSocket::take_or_share(bool peek) {
    if (peek) {
        Buffer* first = queue_.first();
        BufferPtr copy = share_chain(*first, 0, first->chain_length());
        if (!copy) copy = Buffer::allocate(0);
        if (copy) copy->control<DatagramInfo>() = first->control<DatagramInfo>();
        return copy;
    }
    BufferPtr taken = queue_.pop_front();
    queued_memory_ -= taken->chain_memory_size();
    return taken;
}

Result<size_t> DatagramSocket::receive(ReceiveMessage& message) {
    if (message.flags & MSG_ERRQUEUE) return receive_error(message);
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    SocketWait wait = wait_to_receive(message.flags);
    while (queue_.is_empty()) {
        if (int error = take_error()) return Error(error);
        if (receive_is_shut_) return size_t{0};
        TRY(wait.until(changed_,
                       [&] { return !queue_.is_empty() || error_ != 0 || receive_is_shut_; }));
    }
    BufferPtr packet = take_or_share(message.flags & MSG_PEEK);
    if (!packet) return Error(ENOMEM);
    DatagramInfo info = packet->control<DatagramInfo>();
    size_t part = std::min<size_t>(info.length, message.data.size());
    if (part < info.length) message.result_flags |= MSG_TRUNC;
    TRY(copy_message_out(*packet, part, message.data));
    if (message.from) {
        Endpoint from{info.source, info.source_port, info.interface_index};
        write_endpoint(family(), from, *message.from);
    }
    if (message.control) put_controls(message, info);
    return message.flags & MSG_TRUNC ? size_t{info.length} : part;
}

void DatagramSocket::put_controls(ReceiveMessage& message, const DatagramInfo& info) {
    message.put_timestamp(options, info.time_ns);
    if (info.segment_size) {
        constexpr int kUdpGro = 104;
        int size = info.segment_size;
        message.put_control(IPPROTO_UDP, kUdpGro, &size, sizeof(size));
    }
    if (options.is_on(SO_RXQ_OVFL) && drops_ > 0) {
        auto dropped = static_cast<uint32_t>(drops_);
        message.put_control(SOL_SOCKET, SO_RXQ_OVFL, &dropped, sizeof(dropped));
    }
    int hops = info.hop_limit, traffic_class = info.traffic_class, fragment = info.largest_fragment;
    if (info.destination.is_v4()) {
        if (inet_.receive_packet_info) {
            in_pktinfo packet{};
            packet.ipi_ifindex = static_cast<int>(info.interface_index);
            memcpy(&packet.ipi_addr, info.destination.v4_bytes(), 4);
            // What to answer from.
            IpAddress specific = info.destination;
            if (!is_local_address(specific)) {
                Interface* interface = find_interface(info.interface_index);
                const auto* own = interface ? interface->choose_source(info.source) : nullptr;
                specific = own ? own->address : IpAddress::any_v4();
            }
            memcpy(&packet.ipi_spec_dst, specific.v4_bytes(), 4);
            message.put_control(IPPROTO_IP, IP_PKTINFO, &packet, sizeof(packet));
        }
        if (inet_.receive_ttl) message.put_control(IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
        if (inet_.receive_tos) {
            message.put_control(IPPROTO_IP, IP_TOS, &info.traffic_class, 1);
        }
        if (inet_.receive_fragment_size && fragment) {
            message.put_control(IPPROTO_IP, kIpRecvFragSize, &fragment, sizeof(fragment));
        }
        if (inet_.receive_original_destination) {
            sockaddr_in original{};
            original.sin_family = AF_INET;
            original.sin_port = __builtin_bswap16(info.destination_port);
            memcpy(&original.sin_addr, info.destination.v4_bytes(), 4);
            message.put_control(IPPROTO_IP, IP_ORIGDSTADDR, &original, sizeof(original));
        }
    }
    if (family() != AF_INET6) return;
    if (inet_.v6_receive_packet_info) {
        in6_pktinfo packet{};
        packet.ipi6_ifindex = info.interface_index;
        memcpy(&packet.ipi6_addr, info.destination.v6_bytes(), 16);
        message.put_control(IPPROTO_IPV6, IPV6_PKTINFO, &packet, sizeof(packet));
    }
    if (info.destination.is_v4()) return;
    if (inet_.v6_receive_hop_limit) {
        message.put_control(IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
    }
    if (inet_.v6_receive_traffic_class) {
        message.put_control(IPPROTO_IPV6, IPV6_TCLASS, &traffic_class, sizeof(traffic_class));
    }
    if (inet_.v6_receive_original_destination) {
        sockaddr_in6 original{};
        original.sin6_family = AF_INET6;
        original.sin6_port = __builtin_bswap16(info.destination_port);
        memcpy(&original.sin6_addr, info.destination.v6_bytes(), sizeof(original.sin6_addr));
        if (info.destination.is_link_local()) original.sin6_scope_id = info.interface_index;
        message.put_control(IPPROTO_IPV6, IPV6_ORIGDSTADDR, &original, sizeof(original));
    }
    if (inet_.v6_receive_fragment_size && fragment) {
        message.put_control(IPPROTO_IPV6, kIpv6RecvFragSize, &fragment, sizeof(fragment));
    }
}

Result<size_t> DatagramSocket::receive_error(ReceiveMessage& message) {
    const size_t size = TRY(errors_.receive(family(), message));
    // The next one becomes SO_ERROR, as on Linux.
    error_ = errors_.first_error();
    return size;
}

}  // namespace coracle::net
