// The rings of packet sockets: PACKET_RX_RING and PACKET_TX_RING.
#include <poll.h>

#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/packet/packet_socket.h"
#include "libposix/net/packet/transmit_frame.h"
#include "libposix/net/packet/vnet_header.h"

namespace coracle::net {

namespace {

void wake_readers(void* changed) {
    static_cast<WaitQueue*>(changed)->wake_all(POLLIN | POLLRDNORM);
}

}  // namespace

Result<RefPtr<MemoryObject>> PacketSocket::memory_object() {
    if (!has_ring()) return Error(EINVAL);
    return RefPtr<MemoryObject>(rings_);
}

Result<void> PacketSocket::set_ring(UserIn<char> value, unsigned length, bool transmits) {
    tpacket_req3 request{};
    const bool is_v3 = ring_version_ == TPACKET_V3;
    const unsigned size = is_v3 ? sizeof(tpacket_req3) : sizeof(tpacket_req);
    if (length < size) return Error(EINVAL);
    TRY(value.read_array(reinterpret_cast<char*>(&request), size));
    if (!rings_) rings_ = TRY(make_ref<RingMemory>(inode().number));
    if (rings_->is_mapped()) return Error(EBUSY);
    RingBlocks& blocks = transmits ? rings_->transmit : rings_->receive;
    if (request.tp_block_nr == 0) {
        if (request.tp_frame_nr) return Error(EINVAL);
        if (!transmits) receive_ring_.reset();
        blocks.free();
        return {};
    }
    if (blocks.count()) return Error(EBUSY);
    if (transmits && is_v3 &&
        (request.tp_retire_blk_tov || request.tp_sizeof_priv || request.tp_feature_req_word)) {
        return Error(EINVAL);
    }
    const RingLayout layout = TRY(RingLayout::check(request, ring_version_, ring_reserve_));
    TRY(blocks.allocate(layout.block_count, layout.block_size));
    if (transmits) {
        transmit_layout_ = layout;
        transmit_head_ = 0;
        return {};
    }
    const ReceiveRing::Form form{!strips_header(), has_vnet_header_};
    receive_ring_.reset(new (std::nothrow)
                            ReceiveRing(layout, form, blocks, wake_readers, &changed_));
    if (!receive_ring_) {
        blocks.free();
        return Error(ENOMEM);
    }
    queue_.clear();
    queued_memory_ = 0;
    return {};
}

Result<void> PacketSocket::set_ring_option(int option, UserIn<char> value, unsigned length) {
    if (option == PACKET_RX_RING || option == PACKET_TX_RING) {
        return set_ring(value, length, option == PACKET_TX_RING);
    }
    if (length != sizeof(int)) return Error(EINVAL);
    const int number = TRY(read_option(value, length));
    if (option == PACKET_VERSION && (number < TPACKET_V1 || number > TPACKET_V3)) {
        return Error(EINVAL);
    }
    if (option == PACKET_RESERVE && number < 0) return Error(EINVAL);
    if (option == PACKET_TX_HAS_OFF) {
        if (!has_ring()) frames_say_offset_ = number;
        return {};
    }
    if (has_ring()) return Error(EBUSY);
    switch (option) {
        case PACKET_VERSION:
            ring_version_ = number;
            break;
        case PACKET_RESERVE:
            ring_reserve_ = static_cast<uint32_t>(number);
            break;
        default:
            skips_bad_frames_ = number != 0;
    }
    return {};
}

void PacketSocket::offer_to_ring(const Buffer& frame, const Arrival& arrival) {
    uint32_t status = arrival.status;
    if (ring_version_ != TPACKET_V3) {
        if (drops_) status |= TP_STATUS_LOSING;
        const size_t skip = strips_header() ? kEthernetHeaderSize : 0;
        if (copy_threshold_ && receive_ring_->cuts(arrival.length) &&
            receive_ring_->room() != Room::kNone && keep(frame, skip, arrival)) {
            status |= TP_STATUS_COPY;
        }
    }
    const bool is_taken = receive_ring_->put({.frame = frame,
                                              .skip = strips_header() ? kEthernetHeaderSize : 0,
                                              .length = arrival.original_length,
                                              .kept = arrival.length,
                                              .status = status,
                                              .time_ns = arrival.time_ns,
                                              .from = arrival.from});
    if (!is_taken) drops_++;
}

Result<size_t> PacketSocket::send_ring(Interface& interface, uint16_t protocol,
                                       const sockaddr_ll* to, uint32_t message_flags) {
    const RingLayout& layout = transmit_layout_;
    size_t sent = 0;
    auto next = [&] {
        return TransmitFrame{ring_frame(rings_->transmit, layout, transmit_head_), layout.version};
    };
    auto is_next_ready = [&] {
        return rings_ && rings_->transmit.count() && next().status() == TP_STATUS_SEND_REQUEST;
    };
    // Once around at most: the program may fill as fast as frames leave.
    for (uint32_t i = 0; i < layout.frame_count && is_next_ready(); i++) {
        Result<void> waited = wait_for_room(message_flags);
        if (!waited.ok() && sent) break;
        TRY(waited);
        if (!is_next_ready()) break;  // meanwhile it may have got another ring
        const TransmitFrame frame = next();
        Result<size_t> result = send_ring_frame(frame, interface, protocol, to);
        if (!result.ok() && !skips_bad_frames_) {
            frame.set_status(TP_STATUS_WRONG_FORMAT);
            return result.error();
        }
        frame.set_status(TP_STATUS_AVAILABLE);
        transmit_head_ = transmit_head_ + 1 == layout.frame_count ? 0 : transmit_head_ + 1;
        if (result.ok()) sent += result.value();
    }
    return sent;
}

Result<size_t> PacketSocket::send_ring_frame(const TransmitFrame& frame, Interface& interface,
                                             uint16_t protocol, const sockaddr_ll* to) {
    const RingLayout& layout = transmit_layout_;
    uint32_t offset = ring_header_length(layout.version) - sizeof(sockaddr_ll);
    const uint32_t length = frame.length();  // read once: the program can change it
    if (frame.has_next_offset()) return Error(EINVAL);
    if (length > layout.frame_size - offset) return Error(EMSGSIZE);
    if (frames_say_offset_) {
        const uint32_t said = frame.offset(strips_header());
        if (said < offset || said > layout.frame_size - length) return Error(EINVAL);
        offset = said;
    }
    IoBuffer data = IoBuffer::kernel(frame.at + offset, length);
    const size_t sent = TRY(send_frame(data, interface, protocol, to));
    return has_vnet_header_ ? sent - sizeof(VnetHeader) : sent;
}

}  // namespace coracle::net
