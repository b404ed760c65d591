// The virtio network device (virtio 1.2, section 5.1), one queue pair. What frames are is the
// caller's matter: this hands out the queues, and knows features, header and interrupts.
//
//   receive.add({{memory, size, true}}, token); if (receive.publish()) notify_receive();
//   while (auto used = receive.take_used()) ...
//
// Locks: none; one owner.
#pragma once

#include "kernel-min/devices/virtio/transport.h"

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

    // Sets the device up with queues of up to `queue_size`, both silent until asked. ENXIO if the
    // device refuses; ENOMEM.
    Result<void> start(Transport& transport, uint16_t queue_size, InterruptHandler handler,
                       void* context);

    const Features& features() const { return features_; }
    const uint8_t* mac() const { return mac_; }
    uint16_t mtu() const { return mtu_; }  // 0: not told
    bool link_is_up();
    size_t header_size() const { return header_size_; }

    void notify_receive() { transport_->notify(0); }
    void notify_transmit() { transport_->notify(1); }
    void acknowledge_interrupt() { transport_->acknowledge_interrupt(); }

    Virtqueue receive, transmit;

  private:
    uint16_t config_word(uint32_t offset);

    Transport* transport_ = nullptr;
    Features features_ = {};
    size_t header_size_ = sizeof(NetHeader);
    bool has_status_ = false;
    uint16_t mtu_ = 0;
    uint8_t mac_[6] = {};
};

}  // namespace coracle::virtio
