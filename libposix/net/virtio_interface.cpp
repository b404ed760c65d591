#include "libposix/net/virtio_interface.h"

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/checksum.h"
#include "libposix/net/network.h"

namespace coracle::net {

namespace {

constexpr uint32_t kDefaultMtu = 1500;
constexpr std::string_view kNames[] = {"eth0", "eth1", "eth2", "eth3"};

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

}  // namespace

VirtioInterface::VirtioInterface(size_t number)
    : EthernetInterface(kNames[number], kDefaultMtu),
      receive_offload_(*this, ethernet_input),
      poll_timer_(on_poll_timer, this),
      refill_timer_(on_refill_timer, this) {}

Result<void> VirtioInterface::start(virtio::Transport& transport) {
    TRY(device_.start(transport, kQueueSize, on_interrupt, this));
    memcpy(mac.bytes, device_.mac(), sizeof(mac.bytes));
    if (device_.mtu() >= 68) mtu = mtu_v6 = device_.mtu();
    offloads = {.checksum = device_.features().checksum,
                .tso_v4 = device_.features().host_tso_v4,
                .tso_v6 = device_.features().host_tso_v6,
                .uso = device_.features().host_uso};
    flags |= IFF_UP;
    update_link();
    fill_receive_queue();
    ask_for_interrupts();
    return {};
}

// A frame that is longer than a buffer has to come in several.
uint32_t VirtioInterface::largest_mtu() const {
    constexpr uint32_t kLargest = 65535;
    if (!device_.features().merged_buffers) return kDefaultMtu;
    return device_.mtu() >= 68 ? device_.mtu() : kLargest;
}

void VirtioInterface::update_link() {
    constexpr uint32_t kRunning = IFF_RUNNING | IFF_LOWER_UP;
    flags = device_.link_is_up() ? flags | kRunning : flags & ~kRunning;
}

void VirtioInterface::fill_receive_queue() {
    while (device_.receive.free_descriptors() > 0) {
        BufferPtr buffer = Buffer::allocate(kFrameBufferCapacity);
        if (!buffer) {
            // No frame may come that would have it tried again.
            constexpr uint64_t kRetryNs = 10'000'000;
            if (!refill_timer_.is_active()) refill_timer_.start(monotonic_ns() + kRetryNs);
            break;
        }
        virtio::Virtqueue::Buffer place{direct_to_phys(buffer->data()), kFrameBufferCapacity, true};
        device_.receive.add({&place, 1}, reinterpret_cast<uint64_t>(buffer.release()));
    }
    if (device_.receive.publish()) device_.notify_receive();
}

// The frame that begins in `first`; null if the device broke the rules.
BufferPtr VirtioInterface::take_frame(BufferPtr first, uint32_t length) {
    if (length < device_.header_size() || length > kFrameBufferCapacity) return nullptr;
    first->append(length);
    virtio::NetHeader header{};
    memcpy(&header, first->data(), device_.header_size());
    Buffer* last = first.get();
    for (uint16_t i = 1; device_.features().merged_buffers && i < header.buffer_count; i++) {
        auto used = device_.receive.take_used();
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
    } else if (header.flags & virtio::kNetDataValid) {
        first->info.checksum = ChecksumState::kVerified;
    }
    first->info.segmentation = segmentation_of(header.segmentation);
    if (first->info.segmentation != SegmentationType::kNone) {
        first->info.segment_size = header.segment_size;
    }
    return first;
}

bool VirtioInterface::receive_frames() {
    bool any = false;
    while (auto used = device_.receive.take_used()) {
        any = true;
        BufferPtr frame =
            take_frame(BufferPtr(reinterpret_cast<Buffer*>(used->token)), used->length);
        if (!frame) {
            statistics.rx_errors++;
            continue;
        }
        statistics.rx_packets++;
        statistics.rx_bytes += frame->chain_length();
        receive_offload_.receive(std::move(frame));
    }
    if (any) {
        receive_offload_.flush();
        fill_receive_queue();
    }
    return any;
}

void VirtioInterface::poll() {
    NetworkScope scope;
    statistics.rx_polls++;
    reclaim();
    receive_frames();
}

void VirtioInterface::ask_for_interrupts() {
    while (device_.receive.enable_interrupts()) receive_frames();
}

void VirtioInterface::on_interrupt(void* context) {
    auto& self = *static_cast<VirtioInterface*>(context);
    NetworkScope scope;
    self.device_.acknowledge_interrupt();
    self.statistics.rx_interrupts++;
    if (!self.device_.receive.has_used() && !self.device_.transmit.has_used()) self.update_link();
    self.device_.receive.disable_interrupts();
    self.poll();
    uint64_t now = monotonic_ns();
    bool is_busy = now - self.last_interrupt_ns_ < kBusyNs;
    self.last_interrupt_ns_ = now;
    if (is_busy) {
        self.is_polling_ = true;
        if (!self.poll_timer_.is_active()) self.poll_timer_.start(now + kPollIntervalNs);
    } else if (!self.is_polling_) {
        self.ask_for_interrupts();
    }
}

void VirtioInterface::on_poll_timer(void* context) {
    auto& self = *static_cast<VirtioInterface*>(context);
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

void VirtioInterface::on_refill_timer(void* context) {
    NetworkScope scope;
    static_cast<VirtioInterface*>(context)->fill_receive_queue();
}

bool VirtioInterface::prepare_to_idle() {
    if (!is_polling_) return false;
    NetworkScope scope;
    reclaim();
    if (receive_frames()) return true;
    is_polling_ = false;
    if (!device_.receive.enable_interrupts()) return false;
    is_polling_ = true;
    return true;
}

bool VirtioInterface::has_unsent_frames() {
    reclaim();
    return device_.transmit.free_descriptors() < device_.transmit.size();
}

void VirtioInterface::reclaim() {
    while (auto used = device_.transmit.take_used()) {
        BufferPtr(reinterpret_cast<Buffer*>(used->token)).reset();
    }
    while (!backlog_.is_empty()) {
        BufferPtr frame = backlog_.pop_front();
        if (!queue_frame(frame)) {
            backlog_.push_front(std::move(frame));
            // Only then is there anything to wait for.
            if (!device_.transmit.enable_interrupts()) return;
            while (auto used = device_.transmit.take_used()) {
                BufferPtr(reinterpret_cast<Buffer*>(used->token)).reset();
            }
            continue;
        }
        if (--backlog_count_ == 0) device_.transmit.disable_interrupts();
    }
}

void VirtioInterface::write_header(Buffer& frame) {
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
    memcpy(frame.push(device_.header_size()), &header, device_.header_size());
}

// `frame` begins with the device's header. False: the queue has no room for it.
bool VirtioInterface::queue_frame(BufferPtr& frame) {
    virtio::Virtqueue::Buffer pieces[kMaxPieces];
    size_t count = 0;
    for (const Buffer* piece = frame.get(); piece; piece = piece->next()) {
        if (piece->length() == 0) continue;
        if (count == kMaxPieces) {
            // Many crumbs: better one copy than half the queue.
            size_t size = frame->chain_length();
            BufferPtr whole = Buffer::allocate(size);
            if (!whole) {
                statistics.tx_dropped++;
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
    if (!device_.transmit.add({pieces, count}, reinterpret_cast<uint64_t>(frame.get()))) {
        return false;
    }
    (void)frame.release();
    has_queued_ = true;
    network_has_work();
    return true;
}

void VirtioInterface::transmit(BufferPtr frame) {
    statistics.tx_packets++;
    statistics.tx_bytes += frame->chain_length();
    write_header(*frame);
    if (device_.transmit.free_descriptors() < kQueueSize / 2) reclaim();
    if (backlog_.is_empty() && queue_frame(frame)) return;
    if (backlog_count_ == kMaxBacklog) {
        statistics.tx_dropped++;
        return;
    }
    backlog_.push_back(std::move(frame));
    backlog_count_++;
    reclaim();
}

void VirtioInterface::flush() {
    if (!has_queued_) return;
    has_queued_ = false;
    if (!device_.transmit.publish()) return;
    statistics.tx_kicks++;
    device_.notify_transmit();
}

}  // namespace coracle::net
