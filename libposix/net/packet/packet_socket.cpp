#include "libposix/net/packet/packet_socket.h"

#include <net/ethernet.h>
#include <poll.h>

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "libposix/net/inet/datagram_socket.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/network.h"
#include "libposix/net/packet/vnet_header.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"

namespace coracle::net {

namespace {

PacketSocketList sockets;
const PacketSocket* sender;  // whose frame is on its way to the taps: it does not see it itself

void on_frame(const Buffer& frame, Interface& interface) {
    for (PacketSocket& socket : sockets) {
        if (&socket != sender && socket.wants(frame, interface)) socket.offer(frame, interface);
    }
    offer_to_fanouts(frame, interface, sender);
}

// A copy of `left` bytes of the frame behind its first `skip`; null when out of memory.
BufferPtr copy_frame(const Buffer& frame, size_t skip, size_t left) {
    constexpr size_t kPiece = buffer_capacity(3);
    BufferPtr first = Buffer::allocate(std::min(left, kPiece));
    Buffer* last = first.get();
    while (last) {
        size_t size = std::min(left, kPiece);
        frame.copy_out(skip, last->append(size), size);
        skip += size;
        left -= size;
        if (left == 0) return first;
        BufferPtr next = Buffer::allocate(std::min(left, kPiece));
        if (!next) break;
        Buffer* added = next.get();
        last->set_next(std::move(next));
        last = added;
    }
    return nullptr;
}

Result<RefPtr<Socket>> create(Socket::Kind kind, uint32_t flags) {
    if (!current_credentials().has_capability(kCapNetRaw)) return Error(EPERM);
    if (kind.type != SOCK_RAW && kind.type != SOCK_DGRAM) return Error(ESOCKTNOSUPPORT);
    start_network();
    SocketPlace place = TRY(make_socket_place());
    return RefPtr<Socket>(TRY(make_ref<PacketSocket>(std::move(place), flags, kind)));
}

}  // namespace

const PacketSocketList& packet_sockets() {
    return sockets;
}

void register_packet_sockets() {
    register_socket_family({.family = AF_PACKET, .create = create});
}

PacketSocket::PacketSocket(SocketPlace place, uint32_t flags, Kind kind)
    : Socket(std::move(place.path), std::move(place.inode), flags, kind),
      hook_{__builtin_bswap16(static_cast<uint16_t>(kind.protocol)), 0},
      user_(current_credentials().euid) {
    sockets.push_back(*this);
    set_frame_tap(on_frame);
}

PacketSocket::~PacketSocket() {
    for (size_t i = 0; i < membership_count_; i++)
        (void)apply_membership(memberships_[i], false).ok();
    if (fanout_) fanout_->remove(*this);
    unlink();
    if (sockets.empty()) set_frame_tap(nullptr);
}

Result<void> PacketSocket::bind(const SocketAddress& address) {
    if (address.length < sizeof(sockaddr_ll)) return Error(EINVAL);
    const auto& wanted = address.as<sockaddr_ll>();
    if (wanted.sll_family != AF_PACKET || fanout_) return Error(EINVAL);
    const Interface* interface = nullptr;
    if (wanted.sll_ifindex != 0) {
        interface = find_interface(static_cast<uint32_t>(wanted.sll_ifindex));
        if (!interface) return Error(ENODEV);
    }
    if (wanted.sll_protocol) hook_.protocol = __builtin_bswap16(wanted.sll_protocol);
    hook_.interface_index = static_cast<uint32_t>(wanted.sll_ifindex);
    if (interface && !interface->is_up()) {
        error_ = ENETDOWN;
        changed_.wake_all();
    }
    return {};
}

Result<void> PacketSocket::local_address(SocketAddress& to) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(interface_index());
    address.sll_protocol = __builtin_bswap16(protocol());
    if (const Interface* interface = find_interface(interface_index())) {
        address.sll_hatype = interface->hardware_type();
        address.sll_halen = sizeof(interface->mac.bytes);
        memcpy(address.sll_addr, interface->mac.bytes, sizeof(interface->mac.bytes));
    }
    to.length = static_cast<unsigned>(offsetof(sockaddr_ll, sll_addr)) + address.sll_halen;
    memcpy(to.bytes, &address, to.length);
    return {};
}

bool PacketSocket::wants(const Buffer& frame, const Interface& interface) const {
    if (fanout_ || (ignores_outgoing_ && frame.info.link_type == PACKET_OUTGOING)) return false;
    return hook_.takes(frame, interface);
}

Room PacketSocket::room(const Buffer& frame) const {
    if (receive_ring_) return receive_ring_->room();
    const size_t used = queued_memory_ + frame.chain_length();
    const size_t left = options.receive_buffer - std::min<size_t>(used, options.receive_buffer);
    if (left > options.receive_buffer / 4) return Room::kEnough;
    return left ? Room::kLittle : Room::kNone;
}

BpfPacket bpf_packet_of(const Buffer& frame, const Interface& interface, size_t skip) {
    return {.chain = frame,
            .start = static_cast<int32_t>(skip),
            .network = kEthernetHeaderSize,
            .link = 0,
            .has_network = true,
            .has_link = true,
            .protocol = frame.info.ethernet_protocol,
            .hardware_type = interface.hardware_type(),
            .packet_type = frame.info.link_type,
            .interface_index = interface.index()};
}

// How much of the frame behind its first `skip` bytes the filter keeps.
size_t PacketSocket::filter(const Buffer& frame, const Interface& interface, size_t skip) const {
    if (!options.filter) return SIZE_MAX;
    return options.filter->run(bpf_packet_of(frame, interface, skip));
}

void PacketSocket::offer(const Buffer& frame, const Interface& interface) {
    const size_t skip = strips_header() ? kEthernetHeaderSize : 0;
    const size_t whole = frame.chain_length() - skip;
    const size_t kept = std::min(whole, filter(frame, interface, skip));
    if (kept == 0) return;
    packets_++;
    Arrival arrival{};
    arrival.from.sll_family = AF_PACKET;
    arrival.from.sll_protocol = __builtin_bswap16(frame.info.ethernet_protocol);
    arrival.from.sll_ifindex = static_cast<int>(interface.index());
    arrival.from.sll_hatype = interface.hardware_type();
    arrival.from.sll_pkttype = frame.info.link_type;
    arrival.from.sll_halen = 6;
    memcpy(arrival.from.sll_addr, frame.data() + 6, 6);
    if (options.timestamp || receive_ring_) arrival.time_ns = realtime_ns();
    arrival.status = TP_STATUS_USER;
    if (frame.info.checksum == ChecksumState::kPartial) {
        arrival.status |= TP_STATUS_CSUMNOTREADY;
    } else if (frame.info.checksum == ChecksumState::kVerified) {
        arrival.status |= TP_STATUS_CSUM_VALID;
    }
    arrival.length = static_cast<uint32_t>(kept);
    arrival.original_length = static_cast<uint32_t>(whole);
    arrival.network_offset = strips_header() ? 0 : kEthernetHeaderSize;
    if (receive_ring_) return offer_to_ring(frame, arrival);
    if (!keep(frame, skip, arrival)) drops_++;
}

bool PacketSocket::keep(const Buffer& frame, size_t skip, const Arrival& arrival) {
    BufferPtr copy = copy_frame(frame, skip, arrival.length);
    if (!copy || queued_memory_ + copy->chain_memory_size() > options.receive_buffer ||
        (queued_memory_ && buffers_are_exhausted())) {
        return false;
    }
    queued_memory_ += copy->chain_memory_size();
    copy->control<Arrival>() = arrival;
    copy->info = frame.info;
    queue_.push_back(std::move(copy));
    changed_.wake_all(POLLIN | POLLRDNORM);
    return true;
}

uint32_t PacketSocket::poll_events() {
    uint32_t events = send_memory_.poll_events(options.send_buffer);
    if (!queue_.is_empty()) events |= POLLIN | POLLRDNORM;
    if (receive_ring_ && receive_ring_->is_readable()) events |= POLLIN | POLLRDNORM;
    if (error_) events |= error_events();
    return events;
}

Result<size_t> PacketSocket::bytes_to_receive() {
    return queue_.is_empty() ? size_t{0} : size_t{queue_.first()->control<Arrival>().length};
}

Result<size_t> PacketSocket::send(SendMessage& message) {
    uint32_t index = interface_index();
    uint16_t protocol = hook_.protocol;
    const sockaddr_ll* to = nullptr;
    if (message.to) {
        if (message.to->length < sizeof(sockaddr_ll)) return Error(EINVAL);
        to = &message.to->as<sockaddr_ll>();
        if (message.to->length < offsetof(sockaddr_ll, sll_addr) + to->sll_halen) {
            return Error(EINVAL);
        }
        index = static_cast<uint32_t>(to->sll_ifindex);
        protocol = __builtin_bswap16(to->sll_protocol);
    }
    Interface* interface = find_interface(index);
    if (!interface) return Error(ENXIO);
    if (!interface->is_up()) return Error(ENETDOWN);
    if (options.is_on(SO_NOFCS)) return Error(EPROTONOSUPPORT);  // devices make the sum
    if (rings_ && rings_->transmit.count()) {
        return send_ring(*interface, protocol, to, message.flags);
    }
    TRY(wait_for_room(message.flags));
    return send_frame(message.data, *interface, protocol, to);
}

Result<void> PacketSocket::wait_for_room(uint32_t message_flags) {
    return send_memory_.wait_for_room(options.send_buffer, wait_to_send(message_flags), error_,
                                      false);
}

Result<size_t> PacketSocket::send_frame(IoBuffer& data, Interface& interface, uint16_t protocol,
                                        const sockaddr_ll* to) {
    const size_t whole = data.size();
    VnetHeader vnet{};
    if (has_vnet_header_) {
        if (data.size() < sizeof(vnet)) return Error(EINVAL);
        if (data.copy_in(&vnet, sizeof(vnet)) != sizeof(vnet)) return Error(EFAULT);
        if (vnet.least_header_length() > data.size()) return Error(EINVAL);
    }
    const size_t size = data.size();
    const size_t header = strips_header() ? 0 : kEthernetHeaderSize;
    constexpr size_t kVlanTag = 4, kLargest = 65535;
    const bool is_cut = vnet.gso_type != kGsoNone;
    if (size > (is_cut ? kLargest : interface.mtu) + header + kVlanTag) return Error(EMSGSIZE);
    if (size <= header && header) return Error(EINVAL);
    BufferPtr frame = TRY(copy_message_in(data, size, kPacketHeadroom));
    if (!header) {
        if (!to && interface.has_link_addresses()) return Error(EINVAL);
        uint8_t* link = frame->push(kEthernetHeaderSize);
        memset(link, 0, 6);
        if (to) memcpy(link, to->sll_addr, 6);
        memcpy(link + 6, interface.mac.bytes, 6);
        write_be16(link + 12, protocol);
    }
    if (!is_cut && size > interface.mtu + header &&
        read_be16(frame->data() + 12) != ETHERTYPE_VLAN) {
        return Error(EMSGSIZE);
    }
    if (has_vnet_header_) TRY(apply_vnet_header(vnet, *frame));
    SendScope scope(send_memory_);
    sender = this;
    tap_frame(*frame, interface, PACKET_OUTGOING);
    sender = nullptr;
    frame->info.link_type = 0;
    send_whole_frame(interface, std::move(frame));
    return whole;
}

void PacketSocket::put_controls(ReceiveMessage& message, const Arrival& arrival) const {
    message.put_timestamp(options, arrival.time_ns);
    if (!tells_status_) return;
    tpacket_auxdata data{};
    data.tp_status = arrival.status;
    data.tp_len = arrival.original_length;
    data.tp_snaplen = arrival.length;
    data.tp_net = arrival.network_offset;
    message.put_control(SOL_PACKET, PACKET_AUXDATA, &data, sizeof(data));
}

Result<size_t> PacketSocket::receive(ReceiveMessage& message) {
    constexpr uint32_t kKnown =
        MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC | MSG_ERRQUEUE;
    if (message.flags & ~kKnown) return Error(EINVAL);
    if (message.flags & MSG_ERRQUEUE) return Error(EAGAIN);
    SocketWait wait = wait_to_receive(message.flags);
    while (queue_.is_empty()) {
        if (int error = take_error()) return Error(error);
        TRY(wait.until(changed_, [&] { return !queue_.is_empty() || error_ != 0; }));
    }
    BufferPtr frame;
    if (message.flags & MSG_PEEK) {
        Buffer& first = *queue_.first();
        frame = copy_frame(first, 0, first.chain_length());
        if (!frame) return Error(ENOMEM);
        frame->control<Arrival>() = first.control<Arrival>();
        frame->info = first.info;
    } else {
        frame = queue_.pop_front();
        queued_memory_ -= frame->chain_memory_size();
    }
    Arrival arrival = frame->control<Arrival>();
    size_t vnet_size = 0;
    if (has_vnet_header_) {
        const VnetHeader vnet = vnet_header_of(*frame);
        vnet_size = sizeof(vnet);
        if (message.data.size() < vnet_size) return Error(EINVAL);
        if (message.data.copy_out(&vnet, vnet_size) != vnet_size) return Error(EFAULT);
    }
    size_t part = std::min<size_t>(arrival.length, message.data.size());
    if (part < arrival.length) message.result_flags |= MSG_TRUNC;
    TRY(copy_message_out(*frame, part, message.data));
    if (message.from) {
        message.from->length = sizeof(arrival.from);
        memcpy(message.from->bytes, &arrival.from, sizeof(arrival.from));
    }
    put_controls(message, arrival);
    return vnet_size + (message.flags & MSG_TRUNC ? arrival.length : part);
}

}  // namespace coracle::net
