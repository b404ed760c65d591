// eth0: an Ethernet interface on a virtio network device, with a pair of queues for each CPU if the
// device has so many.
//
// A pair's interrupts come to its CPU where the transport can aim them (PCI), else to the first
// CPU. A CPU that idles polls those of its pairs that are to be polled.
#pragma once

#include <memory>

#include "kernel-min/core/layout.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/transmit_steering.h"
#include "libposix/net/virtio_queue_pair.h"

namespace coracle::net {

class VirtioInterface final : public EthernetInterface {
  public:
    explicit VirtioInterface(size_t number);  // ethN
    // ENXIO, ENOMEM.
    Result<void> start(virtio::Transport& transport);

    void transmit(BufferPtr frame) override;
    uint32_t largest_mtu() const override;
    void poll() override;
    size_t queue_count() const override { return pair_count_ > 1 ? pair_count_ : 0; }
    QueueStatistics queue_statistics(size_t queue) const override;
    void receive_filter_changed() override;

    // Whether the device must be told what it is to receive: under the kernel lock held alone.
    bool receive_filter_is_stale() const { return filter_is_stale_; }
    void set_receive_filter();
    // Before the CPU halts, for its pairs: true if there was something to do; else interrupts are
    // asked for.
    bool prepare_to_idle() {
        const unsigned cpu = current_cpu()->id;
        bool any = false;
        for (auto& pair : pairs()) {
            if (pair->cpu() == cpu) any = pair->prepare_to_idle() || any;
        }
        return any;
    }
    // Whether the device has not taken everything yet.
    bool has_unsent_frames();

  private:
    static void on_interrupt(void* interface);
    std::span<const std::unique_ptr<VirtioQueuePair>> pairs() const {
        return {pairs_, pair_count_};
    }
    Result<void> make_pairs();
    void steer(BufferPtr& frame);
    void update_link();

    virtio::Net device_;
    std::unique_ptr<VirtioQueuePair> pairs_[MAX_CPUS];
    unsigned pair_count_ = 0;
    std::unique_ptr<TransmitSteering> steering_;  // if there are several pairs
    bool filter_is_stale_ = false;
};

}  // namespace coracle::net
