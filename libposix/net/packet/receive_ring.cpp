#include "libposix/net/packet/receive_ring.h"

#include <algorithm>
#include <atomic>

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/packet/vnet_header.h"
#include "libposix/time/clock.h"

namespace coracle::net {

namespace {

constexpr uint32_t kDefaultTimeoutMs = 8;
constexpr uint64_t kSecond = 1'000'000'000;

// The program runs on another CPU: what it reads by the status must be there before.
template <typename Word>
void publish(Word& status, Word value) {
    std::atomic_ref<Word>(status).store(value, std::memory_order_release);
}
template <typename Word>
Word look(const Word& status) {
    return std::atomic_ref<Word>(const_cast<Word&>(status)).load(std::memory_order_acquire);
}

uint64_t frame_status(int version, const char* frame) {
    if (version == TPACKET_V1) return look(reinterpret_cast<const tpacket_hdr*>(frame)->tp_status);
    return look(reinterpret_cast<const tpacket2_hdr*>(frame)->tp_status);
}

// What the headers of all versions have in common.
template <typename Header>
Header& start_header(char* at, const RingFrame& frame, uint32_t link_offset,
                     uint32_t network_offset, uint32_t kept) {
    auto& header = *reinterpret_cast<Header*>(at);
    header.tp_len = frame.length;
    header.tp_snaplen = kept;
    header.tp_mac = static_cast<uint16_t>(link_offset);
    header.tp_net = static_cast<uint16_t>(network_offset);
    header.tp_sec = static_cast<uint32_t>(frame.time_ns / kSecond);
    return header;
}

}  // namespace

ReceiveRing::ReceiveRing(const RingLayout& layout, Form form, RingBlocks& blocks,
                         void (*changed)(void*), void* context)
    : layout_(layout),
      has_vnet_header_(form.has_vnet_header),
      blocks_(blocks),
      changed_(changed),
      context_(context),
      timer_(on_timeout, this) {
    // The network header is aligned.
    constexpr uint32_t kLeastLinkHeader = 16;
    const uint32_t header = ring_header_length(layout.version);
    if (form.has_link_header) {
        network_offset_ = ring_align(header + kLeastLinkHeader) + layout.reserve;
        if (form.has_vnet_header) network_offset_ += sizeof(VnetHeader);
        link_offset_ = network_offset_ - uint32_t{kEthernetHeaderSize};
    } else {
        network_offset_ = link_offset_ = ring_align(header) + kLeastLinkHeader + layout.reserve;
    }
    if (layout_.timeout_ms == 0) layout_.timeout_ms = kDefaultTimeoutMs;
    if (layout_.version == TPACKET_V3) open_block();
}

char* ReceiveRing::frame_at(uint32_t index) const {
    return ring_frame(blocks_, layout_, index);
}

tpacket_hdr_v1& ReceiveRing::block_header(uint32_t index) const {
    return reinterpret_cast<tpacket_block_desc*>(blocks_.block(index))->hdr.bh1;
}

bool ReceiveRing::put(const RingFrame& frame) {
    return layout_.version == TPACKET_V3 ? put_into_block(frame) : put_frame(frame);
}

bool ReceiveRing::is_readable() const {
    if (layout_.version == TPACKET_V3) {
        const uint32_t before = head_ ? head_ - 1 : layout_.block_count - 1;
        return look(block_header(before).block_status) != TP_STATUS_KERNEL;
    }
    const uint32_t before = head_ ? head_ - 1 : layout_.frame_count - 1;
    return frame_status(layout_.version, frame_at(before)) != TP_STATUS_KERNEL;
}

// Whether what is filled in `ahead` frames or blocks is free.
bool ReceiveRing::is_free(uint32_t ahead) const {
    const bool is_v3 = layout_.version == TPACKET_V3;
    const uint32_t count = is_v3 ? layout_.block_count : layout_.frame_count;
    const uint32_t index = (head_ + ahead) % count;
    return is_v3 ? look(block_header(index).block_status) == TP_STATUS_KERNEL
                 : frame_status(layout_.version, frame_at(index)) == TP_STATUS_KERNEL;
}

Room ReceiveRing::room() const {
    const bool is_v3 = layout_.version == TPACKET_V3;
    if (is_free((is_v3 ? layout_.block_count : layout_.frame_count) / 4)) return Room::kEnough;
    return is_free(0) ? Room::kLittle : Room::kNone;
}

// Headers, address and bytes; the status of versions 1 and 2 comes last.
void ReceiveRing::fill(char* at, const RingFrame& frame, uint32_t kept) {
    const auto nanoseconds = static_cast<uint32_t>(frame.time_ns % kSecond);
    if (has_vnet_header_ && kept > 0) {
        const VnetHeader vnet = vnet_header_of(frame.frame);
        memcpy(at + link_offset_ - sizeof(vnet), &vnet, sizeof(vnet));
    }
    frame.frame.copy_out(frame.skip, at + link_offset_, kept);
    memcpy(at + ring_align(ring_header_size(layout_.version)), &frame.from, sizeof(frame.from));
    switch (layout_.version) {
        case TPACKET_V1: {
            auto& header =
                start_header<tpacket_hdr>(at, frame, link_offset_, network_offset_, kept);
            header.tp_usec = nanoseconds / 1000;
            publish(header.tp_status, static_cast<unsigned long>(frame.status));
            break;
        }
        case TPACKET_V2: {
            auto& header =
                start_header<tpacket2_hdr>(at, frame, link_offset_, network_offset_, kept);
            header.tp_nsec = nanoseconds;
            header.tp_vlan_tci = header.tp_vlan_tpid = 0;
            memset(header.tp_padding, 0, sizeof(header.tp_padding));
            publish(header.tp_status, frame.status);
            break;
        }
        default: {
            auto& header =
                start_header<tpacket3_hdr>(at, frame, link_offset_, network_offset_, kept);
            header.tp_nsec = nanoseconds;
            header.tp_status = frame.status;
            header.hv1 = {};
            memset(header.tp_padding, 0, sizeof(header.tp_padding));
        }
    }
}

bool ReceiveRing::put_frame(const RingFrame& frame) {
    char* at = frame_at(head_);
    if (frame_status(layout_.version, at) != TP_STATUS_KERNEL) return false;
    if (network_offset_ > UINT16_MAX) return false;
    const uint32_t room = link_offset_ < layout_.frame_size ? layout_.frame_size - link_offset_ : 0;
    fill(at, frame, std::min(frame.kept, room));
    head_ = head_ + 1 == layout_.frame_count ? 0 : head_ + 1;
    changed_(context_);
    return true;
}

// False: the program has not given the block back.
bool ReceiveRing::open_block() {
    tpacket_hdr_v1& header = block_header(head_);
    if (look(header.block_status) & TP_STATUS_USER) return false;
    auto& block = *reinterpret_cast<tpacket_block_desc*>(blocks_.block(head_));
    const uint32_t first = ring_block_header(layout_.private_size);
    const uint64_t now = realtime_ns();
    block.version = TPACKET_V3;
    block.offset_to_priv = (sizeof(block) + 7) & ~7u;
    header.num_pkts = packets_in_block_ = 0;
    header.blk_len = header.offset_to_first_pkt = first;
    header.seq_num = next_sequence_++;
    header.ts_first_pkt.ts_sec = static_cast<uint32_t>(now / kSecond);
    header.ts_first_pkt.ts_nsec = static_cast<uint32_t>(now % kSecond);
    next_offset_ = first;
    is_open_ = true;
    return true;
}

void ReceiveRing::close_block(uint32_t status) {
    tpacket_hdr_v1& header = block_header(head_);
    auto& last = *reinterpret_cast<tpacket3_hdr*>(blocks_.block(head_) + last_offset_);
    last.tp_next_offset = 0;
    header.ts_last_pkt.ts_sec = last.tp_sec;
    header.ts_last_pkt.ts_nsec = last.tp_nsec;
    publish(header.block_status, TP_STATUS_USER | status);
    is_open_ = false;
    head_ = head_ + 1 == layout_.block_count ? 0 : head_ + 1;
    changed_(context_);
    if (!open_block()) freezes_++;
}

void ReceiveRing::start_timer() {
    timer_.start(monotonic_ns() + uint64_t{layout_.timeout_ms} * 1'000'000);
}

void ReceiveRing::on_timeout(void* context) {
    auto& self = *static_cast<ReceiveRing*>(context);
    if (self.is_open_ && self.packets_in_block_ > 0) {
        self.close_block(TP_STATUS_BLK_TMO);
    }
}

bool ReceiveRing::put_into_block(const RingFrame& frame) {
    if (!is_open_ && !open_block()) return false;
    const uint32_t offset = link_offset_;
    const uint32_t most = layout_.block_size - ring_block_header(layout_.private_size);
    if (network_offset_ > UINT16_MAX || offset >= most) return false;
    uint32_t kept = std::min(frame.kept, most - offset);
    const uint32_t size = (offset + kept + 7) & ~7u;
    if (next_offset_ + size >= layout_.block_size && packets_in_block_ > 0) {
        close_block(0);
        if (!is_open_) return false;
    }
    kept = std::min(kept, layout_.block_size - next_offset_ - offset);
    char* at = blocks_.block(head_) + next_offset_;
    fill(at, frame, kept);
    reinterpret_cast<tpacket3_hdr*>(at)->tp_next_offset = size;
    tpacket_hdr_v1& header = block_header(head_);
    if (packets_in_block_++ == 0) start_timer();
    header.num_pkts = packets_in_block_;
    last_offset_ = next_offset_;
    next_offset_ += size;
    header.blk_len = next_offset_;
    return true;
}

}  // namespace coracle::net
