// Which transmit queue of a device a frame takes: that of the CPU which sends it, so that the
// device has the flow's answers come to the same CPU (virtio 1.2, 5.1.6.5.6); but a flow changes
// its queue only when all of its frames have left the one before, so it stays in order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libposix/net/buffer.h"

namespace coracle::net {

// The same for all frames of a flow, from their Ethernet header on; fragments know no ports.
uint32_t flow_hash(const Buffer& frame);

class TransmitSteering {
  public:
    // The queue for a frame. `completed(queue)`: how many frames have left that queue, ever.
    template <typename Completed>
    unsigned choose(uint32_t hash, unsigned preferred, Completed completed) {
        Flow& flow = flows_[hash % kFlows];
        if (completed(flow.queue) >= flow.last_frame) flow.queue = preferred;
        return flow.queue;
    }
    // The frame went to the queue that choose() named, which has taken `accepted` frames with it.
    void sent(uint32_t hash, uint64_t accepted) { flows_[hash % kFlows].last_frame = accepted; }

  private:
    static constexpr size_t kFlows = 512;  // flows that meet in one stay together
    struct Flow {
        uint64_t last_frame = 0;
        unsigned queue = 0;
    };
    Flow flows_[kFlows];
};

}  // namespace coracle::net
