#include "libposix/net/virtio_queue_pair.h"

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/awaited_sends.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/network.h"
#include "libposix/net/receive_steering.h"

namespace coracle::net {

namespace {

uint8_t segmentation_of(SegmentationType type) {
    switch (type) {
        case SegmentationType::kNone:
            return 0;
        case SegmentationType::kTcpV4:
            return virtio::kNetSegmentTcpV4;
        case SegmentationType::kTcpV6:
            return virtio::kNetSegmentTcpV6;
        case SegmentationType::kUdp:
            return virtio::kNetSegmentUdp;
    }
    return 0;
}

SegmentationType segmentation_of(uint8_t device_type) {
    switch (device_type & ~virtio::kNetSegmentEcn) {
        case virtio::kNetSegmentTcpV4:
            return SegmentationType::kTcpV4;
        case virtio::kNetSegmentTcpV6:
            return SegmentationType::kTcpV6;
        default:
            return SegmentationType::kNone;
    }
}

// What a frame of the backlog keeps in its buffer.
struct WaitingFrame {
    SendMemory::Account* sender;  // null: nobody pays for it
    size_t memory;
};

// One CPU at a time does.
void add_one(std::atomic<uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace

VirtioQueuePair::VirtioQueuePair(Interface& interface, virtio::Net& device, unsigned index)
    : interface_(interface),
      device_(device),
      receive_(device.pair(index).receive),
      transmit_(device.pair(index).transmit),
      index_(index),
      cpu_(device.pair(index).is_aimed ? index : 0),
      receive_offload_(interface, steer_received),
      poll_timer_(on_poll_timer, this, LockNeeded::kLocally),
      // Whoever fills the queue starts it, perhaps on another CPU than the pair's.
      refill_timer_(on_refill_timer, this) {}

void VirtioQueuePair::start() {
    fill_receive_queue();
    ask_for_interrupts();
}

void VirtioQueuePair::fill_receive_queue() {
    while (receive_.free_descriptors() > 0) {
        BufferPtr buffer = Buffer::allocate(kFrameBufferCapacity);
        if (!buffer) {
            // No frame may come that would have it tried again.
            constexpr uint64_t kRetryNs = 10'000'000;
            if (!refill_timer_.is_active()) refill_timer_.start(monotonic_ns() + kRetryNs);
            break;
        }
        virtio::Virtqueue::Buffer place{direct_to_phys(buffer->data()), kFrameBufferCapacity, true};
        receive_.add({&place, 1}, reinterpret_cast<uint64_t>(buffer.release()));
    }
    if (receive_.publish()) device_.notify_receive(index_);
}

// The frame that begins in `first`; null if the device broke the rules.
BufferPtr VirtioQueuePair::take_frame(BufferPtr first, uint32_t length) {
    if (length < device_.header_size() || length > kFrameBufferCapacity) return nullptr;
    first->append(length);
    virtio::NetHeader header;  // buffer_count is none in the short one of a legacy device
    memcpy(&header, first->data(), sizeof(header));
    Buffer* last = first.get();
    for (uint16_t i = 1; device_.features().merged_buffers && i < header.buffer_count; i++) {
        auto used = receive_.take_used();
        if (!used) return nullptr;
        BufferPtr more(reinterpret_cast<Buffer*>(used->token));
        if (used->length > kFrameBufferCapacity) return nullptr;
        more->append(used->length);
        Buffer* added = more.get();
        last->set_next(std::move(more));
        last = added;
    }
    first->pull(device_.header_size());
    if (header.flags & virtio::kNetNeedsChecksum) {
        first->info.checksum = ChecksumState::kPartial;
        first->info.checksum_start = header.checksum_start;
        first->info.checksum_offset = header.checksum_offset;
    } else if (header.flags & virtio::kNetDataValid) {
        first->info.checksum = ChecksumState::kVerified;
    }
    first->info.segmentation = segmentation_of(header.segmentation);
    if (first->info.segmentation != SegmentationType::kNone) {
        first->info.segment_size = header.segment_size;
    }
    return first;
}

bool VirtioQueuePair::receive_frames() {
    bool any = false;
    while (auto used = receive_.take_used()) {
        any = true;
        BufferPtr frame =
            take_frame(BufferPtr(reinterpret_cast<Buffer*>(used->token)), used->length);
        if (!frame) {
            interface_.statistics().rx_errors++;
            continue;
        }
        received_++;
        InterfaceStatistics& counted = interface_.statistics();
        counted.rx_packets++;
        counted.rx_bytes += frame->chain_length();
        receive_offload_.receive(std::move(frame));
    }
    if (any) {
        receive_offload_.flush();
        fill_receive_queue();
    }
    return any;
}

bool VirtioQueuePair::poll() {
    interface_.statistics().rx_polls++;
    bool any_sent = reclaim();
    if (awaited_sends) [[unlikely]] {
        LocalLockGuard guard(transmit_lock_);
        watch_transmit();
    }
    return receive_frames() || any_sent;
}

void VirtioQueuePair::ask_for_interrupts() {
    while (receive_.enable_interrupts()) receive_frames();
}

bool VirtioQueuePair::on_interrupt() {
    interrupts_++;
    receive_.disable_interrupts();
    bool any = poll();
    uint64_t now = monotonic_ns();
    bool is_busy = now - last_interrupt_ns_ < kBusyNs;
    last_interrupt_ns_ = now;
    if (is_busy) {
        is_polling_ = true;
        if (!poll_timer_.is_active()) poll_timer_.start(now + kPollIntervalNs);
    } else if (!is_polling_) {
        ask_for_interrupts();
    }
    return any;
}

void VirtioQueuePair::on_poll_timer(void* context) {
    auto& self = *static_cast<VirtioQueuePair*>(context);
    if (!self.is_polling_) return;
    NetworkScope scope;
    self.reclaim();
    if (self.receive_frames()) {
        self.poll_timer_.start(monotonic_ns() + kPollIntervalNs);
    } else {
        self.is_polling_ = false;
        self.ask_for_interrupts();
    }
}

void VirtioQueuePair::on_refill_timer(void* context) {
    NetworkScope scope;
    static_cast<VirtioQueuePair*>(context)->fill_receive_queue();
}

bool VirtioQueuePair::poll_while_idle() {
    NetworkScope scope;
    reclaim();
    if (receive_frames()) return true;
    is_polling_ = false;
    if (!receive_.enable_interrupts()) return false;
    is_polling_ = true;
    return true;
}

bool VirtioQueuePair::has_unsent_frames() {
    reclaim();
    return transmit_.free_descriptors() < transmit_.size();
}

inline bool VirtioQueuePair::reclaim_sent() {
    const uint64_t before = completed();
    while (auto used = transmit_.take_used()) {
        BufferPtr(reinterpret_cast<Buffer*>(used->token)).reset();
        add_one(completed_);
    }
    return completed() != before;
}

bool VirtioQueuePair::reclaim() {
    LocalLockGuard guard(transmit_lock_);
    return reclaim_locked();
}

bool VirtioQueuePair::reclaim_locked() {
    bool any = reclaim_sent();
    if (!backlog_.is_empty()) send_backlog();
    return any;
}

// Has the device interrupt for what it has sent, as long as somebody waits for that.
void VirtioQueuePair::watch_transmit() {
    do {
        reclaim_locked();
        if (!awaited_sends || transmit_.free_descriptors() == transmit_.size()) {
            if (backlog_.is_empty()) transmit_.disable_interrupts();
            return;
        }
    } while (transmit_.enable_interrupts());
}

void VirtioQueuePair::send_backlog() {
    while (!backlog_.is_empty()) {
        BufferPtr frame = backlog_.pop_front();
        const WaitingFrame waiting = frame->control<WaitingFrame>();
        if (!queue_frame(frame)) {
            frame->control<WaitingFrame>() = waiting;  // it may be a copy now
            backlog_.push_front(std::move(frame));
            // Only then is there anything to wait for.
            if (!transmit_.enable_interrupts()) return;
            reclaim_sent();
            continue;
        }
        if (waiting.sender) waiting.sender->discharge(waiting.memory);
        if (--backlog_count_ == 0) transmit_.disable_interrupts();
    }
}

void VirtioQueuePair::write_header(Buffer& frame) {
    virtio::NetHeader header{};
    const PacketInfo& info = frame.info;
    if (info.checksum == ChecksumState::kPartial) {
        header.flags = virtio::kNetNeedsChecksum;
        header.checksum_start = info.checksum_start;
        header.checksum_offset = info.checksum_offset;
    }
    if (info.segment_size != 0) {
        header.segmentation = segmentation_of(info.segmentation);
        header.segment_size = info.segment_size;
        constexpr size_t kTcpDataOffset = 12, kUdpHeaderSize = 8;
        size_t transport =
            info.segmentation == SegmentationType::kUdp
                ? kUdpHeaderSize
                : size_t{frame.data()[info.checksum_start + kTcpDataOffset]} / 16 * 4;
        header.header_length = static_cast<uint16_t>(info.checksum_start + transport);
    }
    uint8_t* at = frame.push(device_.header_size());
    constexpr size_t kShort = offsetof(virtio::NetHeader, buffer_count);
    memcpy(at, &header, kShort);
    if (device_.header_size() > kShort) memset(at + kShort, 0, sizeof(header) - kShort);
}

// `frame` begins with the device's header. False: the queue has no room for it.
bool VirtioQueuePair::queue_frame(BufferPtr& frame) {
    virtio::Virtqueue::Buffer pieces[kMaxPieces];
    size_t count = 0;
    for (const Buffer* piece = frame.get(); piece; piece = piece->next()) {
        if (piece->length() == 0) continue;
        if (count == kMaxPieces) {
            // Many crumbs: better one copy than half the queue.
            size_t size = frame->chain_length();
            BufferPtr whole = Buffer::allocate(size);
            if (!whole) {
                interface_.statistics().tx_dropped++;
                add_one(completed_);
                frame.reset();
                return true;
            }
            frame->copy_out(0, whole->append(size), size);
            frame = std::move(whole);
            pieces[0] = {direct_to_phys(frame->data()), frame->length(), false};
            count = 1;
            break;
        }
        pieces[count++] = {direct_to_phys(piece->data()), piece->length(), false};
    }
    if (!transmit_.add({pieces, count}, reinterpret_cast<uint64_t>(frame.get()))) {
        return false;
    }
    (void)frame.release();
    if (!has_queued_) {
        has_queued_ = true;
        network_has_queued(*this);
    }
    return true;
}

void VirtioQueuePair::transmit(BufferPtr& frame) {
    LocalLockGuard guard(transmit_lock_);
    InterfaceStatistics& counted = interface_.statistics();
    counted.tx_packets++;
    counted.tx_bytes += frame->chain_length();
    write_header(*frame);
    if (transmit_.free_descriptors() < kQueueSize / 2) reclaim_locked();
    if (backlog_.is_empty() && queue_frame(frame)) {
        add_one(accepted_);
        return;
    }
    if (backlog_count_ == kMaxBacklog) {
        counted.tx_dropped++;
        return;
    }
    add_one(accepted_);
    const WaitingFrame waiting{NetworkScope::sender(), frame->chain_memory_size()};
    if (waiting.sender) waiting.sender->charge(waiting.memory);
    frame->control<WaitingFrame>() = waiting;
    backlog_.push_back(std::move(frame));
    backlog_count_++;
    reclaim_locked();
}

void VirtioQueuePair::flush() {
    LocalLockGuard guard(transmit_lock_);
    has_queued_ = false;
    if (transmit_.publish()) {
        interface_.statistics().tx_kicks++;
        device_.notify_transmit(index_);
    }
    if (awaited_sends) [[unlikely]]
        watch_transmit();
}

}  // namespace coracle::net
