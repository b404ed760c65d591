#include "libposix/net/udp/udp_socket.h"

#include <netinet/in.h>

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/net/checksum.h"
#include "libposix/net/counters.h"
#include "libposix/net/inet/inet_family.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/ip/ip_output.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/network.h"
#include "libposix/net/receive_steering.h"
#include "libposix/net/udp/udp_header.h"
#include "libposix/net/udp/udp_input.h"
#include "libposix/net/udp/udp_table.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

// linux/udp.h
constexpr int kCork = 1, kLiteSendCoverage = 10, kLiteReceiveCoverage = 11, kEncapsulation = 100,
              kNoCheck6Transmit = 101, kNoCheck6Receive = 102, kSegment = 103, kMerge = 104;
// Both protocols' sockets have the options of either level.
bool is_udp_level(int level) {
    return level == IPPROTO_UDP || level == IPPROTO_UDPLITE;
}
constexpr size_t kMaxSegments = 64;  // UDP_MAX_SEGMENTS

Result<RefPtr<Socket>> create(Socket::Kind kind, uint32_t flags) {
    SocketPlace place = TRY(make_socket_place());
    return RefPtr<Socket>(TRY(make_ref<UdpSocket>(std::move(place), flags, kind)));
}

}  // namespace

void register_udp() {
    register_inet_socket(SOCK_DGRAM, IPPROTO_UDP, create);
    register_protocol(IPPROTO_UDP, {udp_input, udp_error});
    register_inet_socket(SOCK_DGRAM, IPPROTO_UDPLITE, create);
    register_protocol(IPPROTO_UDPLITE, {udp_lite_input, udp_lite_error});
}

UdpSocket::UdpSocket(SocketPlace place, uint32_t flags, Kind kind)
    : DatagramSocket(std::move(place), flags, kind), user_(current_credentials().euid) {}

UdpSocket::~UdpSocket() {
    if (reuseport_program && local_.port != 0) leave_sharers(*this);
    if (zero_copy_) zero_copy_->detach();
}

Result<void> UdpSocket::bind(const SocketAddress& address) {
    Endpoint local;
    // An AF_INET socket takes AF_UNSPEC for its wildcard (Linux's __inet_bind).
    bool is_unspecified = family() == AF_INET && address.length >= sizeof(sockaddr_in) &&
                          address.family() == AF_UNSPEC;
    if (is_unspecified && address.as<sockaddr_in>().sin_addr.s_addr == 0) {
        local = {IpAddress::any_v4(), __builtin_bswap16(address.as<sockaddr_in>().sin_port)};
    } else {
        local = TRY(endpoint_of(family(), address));
    }
    if (local.address.is_v4() && inet_.v6_only) return Error(EINVAL);
    TRY(check_bindable(local, inet_.freebind || inet_.transparent));
    constexpr uint16_t kFirstFree = 1024;
    if (local.port != 0 && local.port < kFirstFree &&
        !current_credentials().has_capability(kCapNetBindService)) {
        return Error(EACCES);
    }
    if (local_.port != 0) return Error(EINVAL);
    TRY(claim_udp_port(*this, local));
    local_ = local;
    address_is_bound_ = !local.address.is_any();
    if (local.scope) options.bound_device = static_cast<int>(local.scope);
    return {};
}

Result<void> UdpSocket::bind_if_needed() {
    if (local_.port != 0) return {};
    Endpoint local = local_;
    TRY(claim_udp_port(*this, local));
    local_ = local;
    return {};
}

Result<void> UdpSocket::connect(const SocketAddress& address, bool) {
    TRY(connect_to(address));
    if (is_connected_) TRY(bind_if_needed());
    return {};
}

Result<void> UdpSocket::set_reuseport_program(RefPtr<BpfProgram> program) {
    if (!reuses_port()) return Error(EINVAL);
    if (!program && !reuseport_program) return Error(ENOENT);
    if (local_.port != 0) {
        for_each_sharer(*this, [&](UdpSocket& sharer) { sharer.reuseport_program = program; });
    }
    reuseport_program = std::move(program);
    return {};
}

Result<void> UdpSocket::set_option(int level, int option, UserIn<char> value, unsigned length) {
    if (!is_udp_level(level)) return DatagramSocket::set_option(level, option, value, length);
    int number = TRY(read_option(value, length));
    switch (option) {
        case kCork: {
            cork_ = number != 0;
            if (cork_ || !corked_) return {};
            SendScope scope(send_memory_);
            return transmit(std::move(corked_), corked_target_);
        }
        case kSegment:
            if (number < 0 || number > UINT16_MAX) return Error(EINVAL);
            segment_size_ = number;
            return {};
        case kMerge:
            receives_merged_ = number != 0;
            return {};
        case kNoCheck6Transmit:
            sends_unsummed_ = number != 0;
            return {};
        case kNoCheck6Receive:
            receives_unsummed_ = number != 0;
            return {};
        case kLiteSendCoverage:
            if (!is_lite()) return Error(ENOPROTOOPT);
            lite_coverage_.of_sends = LiteCoverage::from_option(number);
            return {};
        case kLiteReceiveCoverage:
            if (!is_lite()) return Error(ENOPROTOOPT);
            lite_coverage_.least_of_receives = LiteCoverage::from_option(number);
            return {};
        case kEncapsulation:
            if (number != 0) return Error(ENOPROTOOPT);
            return {};
        default:
            return Error(ENOPROTOOPT);
    }
}

Result<void> UdpSocket::get_option(int level, int option, const OptionWriter& to) {
    if (!is_udp_level(level)) return DatagramSocket::get_option(level, option, to);
    switch (option) {
        case kCork:
            return to.put_value(cork_);
        case kSegment:
            return to.put_value(segment_size_);
        case kMerge:
            return to.put_value(receives_merged_);
        case kNoCheck6Transmit:
            return to.put_value(sends_unsummed_);
        case kNoCheck6Receive:
            return to.put_value(receives_unsummed_);
        case kLiteSendCoverage:
            return to.put_value(int{lite_coverage_.of_sends.value_or(0)});
        case kLiteReceiveCoverage:
            return to.put_value(int{lite_coverage_.least_of_receives.value_or(0)});
        case kEncapsulation:
            return to.put_value(0);
        default:
            return Error(ENOPROTOOPT);
    }
}

Result<void> UdpSocket::protocol_control(const ControlMessages::Message& message, Target& target) {
    if (message.level != IPPROTO_UDP || message.type != kSegment ||
        message.data.size() != sizeof(uint16_t)) {
        return Error(EINVAL);
    }
    memcpy(&target.segment_size, message.data.data(), sizeof(uint16_t));
    return {};
}

Result<void> UdpSocket::append_to_cork(IoBuffer& data, size_t size) {
    if (corked_->chain_length() + size > kMaxIpPacket) return Error(EMSGSIZE);
    if (size == 0) return {};
    BufferPtr more = TRY(copy_message_in(data, size, 0));
    if (frame_tap) [[unlikely]]
        become_alone();
    // Meanwhile another thread may have sent it, or made it longer.
    if (!corked_) return Error(EINVAL);
    if (corked_->chain_length() + size > kMaxIpPacket) return Error(EMSGSIZE);
    corked_->last()->set_next(std::move(more));
    return {};
}

Result<RefPtr<ZeroCopySend>> UdpSocket::begin_zero_copy(const SendMessage& message,
                                                        const Target& target) {
    const bool is_shown_here = target.to.address.is_multicast() || target.route.is_broadcast;
    const bool is_copied =
        cork_ || message.flags & MSG_MORE || is_shown_here || !can_send_pages(target.route);
    return ZeroCopySend::begin(zero_copy_, errors_, changed_, is_copied);
}

// The message in a buffer with room for headers, or behind one.
Result<BufferPtr> UdpSocket::read_payload(SendMessage& message, size_t size, ZeroCopySend* send) {
    if (!send || send->is_copied()) return copy_message_in(message.data, size, kPacketHeadroom);
    BufferPtr first = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
    if (!first) return Error(ENOBUFS);
    Buffer* last = first.get();
    while (!message.data.is_empty()) {
        last->set_next(TRY(send->take_pages(message.data, message.data.size())));
        last = last->last();
    }
    return first;
}

// At a use under the kernel lock held alone.
void UdpSocket::settle() {
    if (local_.port == 0 || is_lite() || !should_settle(changed_)) return;
    process_handed_over();
    home = current_cpu()->id;
}

Result<size_t> UdpSocket::receive(ReceiveMessage& message) {
    if (cpu_count > 1) {
        constexpr uint32_t kPlain = MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC | MSG_WAITALL;
        use_lock(!(message.flags & ~kPlain));
    }
    return DatagramSocket::receive(message);
}

Result<size_t> UdpSocket::send(SendMessage& message) {
    if (cpu_count > 1) {
        constexpr uint32_t kPlain = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;
        // Packets of groups, and to this machine, are shown to packet sockets at once.
        use_lock(!(message.flags & ~kPlain) && local_.port != 0 && !send_is_shut_ && !frame_tap);
    }
    size_t size = message.data.size();
    if (size > kMaxIpPacket) return Error(EMSGSIZE);
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    if (corked_) {
        TRY(append_to_cork(message.data, size));
    }
    Target target;
    target.segment_size = static_cast<uint16_t>(segment_size_);
    if (!corked_) {
        if (message.to && !message.control && message.to->family() == AF_UNSPEC &&
            family() == AF_INET6 && !is_connected_) {
            return Error(EDESTADDRREQ);
        }
        TRY(choose_target(message, target));
        if (target.to.port == 0) return Error(EINVAL);
        TRY(bind_if_needed());
        TRY(wait_for_room(message.flags));
        RefPtr<ZeroCopySend> zero_copy;
        if (message.flags & MSG_ZEROCOPY && options.is_on(SO_ZEROCOPY) && size > 0) [[unlikely]]
            zero_copy = TRY(begin_zero_copy(message, target));
        BufferPtr payload = TRY(read_payload(message, size, zero_copy.get()));
        // While this slept, a packet socket may have come, or another thread's datagram.
        if (frame_tap) [[unlikely]]
            become_alone();
        if (corked_) return Error(EINVAL);
        if (zero_copy) zero_copy->count();
        if (!cork_ && !(message.flags & MSG_MORE)) {
            SendScope scope(send_memory_);
            TRY(transmit(std::move(payload), target));
            return size;
        }
        corked_ = std::move(payload);
        corked_target_ = target;
        return size;
    }
    if (cork_ || message.flags & MSG_MORE) return size;
    SendScope scope(send_memory_);
    TRY(transmit(std::move(corked_), corked_target_));
    return size;
}

// In one datagram, or in many of segment_size bytes (UDP_SEGMENT).
Result<void> UdpSocket::transmit(BufferPtr payload, const Target& target) {
    size_t size = payload->chain_length();
    size_t step = target.segment_size;
    size_t header =
        kUdpHeaderSize + (target.to.address.is_v4() ? ipv4::kHeaderSize : ipv6::kHeaderSize);
    if (size > kMaxIpPacket - header + (target.to.address.is_v4() ? 0 : ipv6::kHeaderSize)) {
        return Error(EMSGSIZE);
    }
    if (step != 0 && is_lite()) return Error(EIO);
    if (step == 0 || step >= size) return transmit_one(std::move(payload), target);
    if (step + header > target.route.mtu) return Error(EINVAL);
    if ((size + step - 1) / step > kMaxSegments) return Error(EINVAL);
    for (size_t at = 0; at < size; at += step) {
        BufferPtr head = Buffer::allocate(kSmallBufferCapacity, kPacketHeadroom);
        BufferPtr body = share_chain(*payload, at, std::min(step, size - at));
        if (!head || !body) return Error(ENOBUFS);
        head->set_next(std::move(body));
        TRY(transmit_one(std::move(head), target));
    }
    return {};
}

Result<void> UdpSocket::transmit_one(BufferPtr payload, const Target& target) {
    bool is_v4 = target.to.address.is_v4();
    auto length = static_cast<uint16_t>(kUdpHeaderSize + payload->chain_length());
    uint8_t* header = payload->push(kUdpHeaderSize);
    write_be16(header + udp::kSourcePort, local_.port);
    write_be16(header + udp::kDestinationPort, target.to.port);
    write_be16(header + udp::kLength, length);
    if (is_lite()) [[unlikely]] {
        complete_lite_header(*payload, target.how.source, target.to.address, lite_coverage_);
    } else {
        uint16_t sum = 0;
        if (!(is_v4 ? options.is_on(SO_NO_CHECK) : sends_unsummed_)) {
            sum = checksum_fold(
                pseudo_header_sum(target.how.source, target.to.address, IPPROTO_UDP, length));
            payload->info.checksum = ChecksumState::kPartial;
            payload->info.checksum_start = 0;
            payload->info.checksum_offset = udp::kChecksum;
        }
        memcpy(header + udp::kChecksum, &sum, 2);
    }
    IpOutput how = target.how;
    how.protocol = static_cast<uint8_t>(kind().protocol);
    how.route = &target.route;
    Result<void> sent = ip_output(std::move(payload), how);
    UdpCounters& counted = udp_counters(is_v4, is_lite());
    if (sent) {
        counted.out_datagrams++;
        return {};
    }
    if (sent.error_code() == EMSGSIZE) local_error(EMSGSIZE, target, target.route.mtu);
    if (sent.error_code() == ENOBUFS) counted.send_buffer_errors++;
    return sent;
}

}  // namespace coracle::net
