// The virtio network device (virtio 1.2, section 5.1). What frames are is the caller's matter: this
// hands out the queues, and knows features, header and interrupts.
//
//   auto& receive = device.pair(0).receive;
//   receive.add({{memory, size, true}}, token); if (receive.publish()) device.notify_receive(0);
//   while (auto used = receive.take_used()) ...
//
// Locks: none; one owner.
#pragma once

#include <memory>

#include "kernel-min/devices/virtio/net_control.h"

namespace coracle::virtio {

// struct virtio_net_hdr_mrg_rxbuf (5.1.6), before every frame, little-endian.
struct NetHeader {
    uint8_t flags;
    uint8_t segmentation;
    uint16_t header_length;
    uint16_t segment_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t buffer_count;  // of a merged frame; a legacy device without MRG_RXBUF has none
};
static_assert(sizeof(NetHeader) == 12);
constexpr uint8_t kNetNeedsChecksum = 1, kNetDataValid = 2;
constexpr uint8_t kNetSegmentTcpV4 = 1, kNetSegmentUdp = 5, kNetSegmentTcpV6 = 4,
                  kNetSegmentEcn = 0x80;

class Net {
  public:
    // Features that were agreed on.
    struct Features {
        bool checksum, guest_checksum, guest_tso, host_tso_v4, host_tso_v6, host_uso,
            merged_buffers;
    };

    struct QueuePair {
        Virtqueue receive, transmit;
        // Whose interrupts come to the CPU of the pair's number; else, to the first one.
        bool is_aimed = false;
    };

    // Sets the device up with queues of up to `queue_size`, all silent until asked, and with as
    // many pairs of them as it has and memory allows, up to `max_pairs` and at most one for each
    // CPU. ENXIO if the device refuses; ENOMEM.
    Result<void> start(Transport& transport, uint16_t queue_size, unsigned max_pairs,
                       InterruptHandler handler, void* context, LockNeeded needs);

    // Resets the device: it touches no memory any more.
    void stop() { transport_->set_status(0); }

    unsigned pair_count() const { return pair_count_; }
    QueuePair& pair(unsigned index) { return pairs_[index]; }
    // Null: the device does not filter what it receives.
    NetControl* receive_filter() { return filters_ ? &control_ : nullptr; }
    const Features& features() const { return features_; }
    const uint8_t* mac() const { return mac_; }
    uint16_t mtu() const { return mtu_; }  // 0: not told
    bool link_is_up();
    size_t header_size() const { return header_size_; }

    void notify_receive(unsigned pair) { transport_->notify(static_cast<uint16_t>(2 * pair)); }
    void notify_transmit(unsigned pair) { transport_->notify(static_cast<uint16_t>(2 * pair + 1)); }
    void acknowledge_interrupt() { transport_->acknowledge_interrupt(); }

  private:
    uint16_t config_word(uint32_t offset);
    Result<void> set_up_pair(unsigned index, uint16_t queue_size, bool event_index);

    Transport* transport_ = nullptr;
    std::unique_ptr<QueuePair[]> pairs_;
    unsigned pair_count_ = 0;
    NetControl control_;
    bool filters_ = false;
    Features features_ = {};
    size_t header_size_ = sizeof(NetHeader);
    bool has_status_ = false;
    uint16_t mtu_ = 0;
    uint8_t mac_[6] = {};
};

}  // namespace coracle::virtio
