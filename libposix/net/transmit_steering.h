// Which transmit queue of a device a frame takes: that of the CPU which sends it, so that the
// device has the flow's answers come to the same CPU (virtio 1.2, 5.1.6.5.6); but a flow changes
// its queue only when all of its frames have left the one before, so it stays in order.
//
// What is written for each frame belongs to the queue, and so to its CPU.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "libposix/net/buffer.h"

namespace coracle::net {

// The same for all frames of a flow, from their Ethernet header on; fragments know no ports.
uint32_t flow_hash(const Buffer& frame);

class TransmitSteering {
  public:
    // Before the first frame. False: out of memory.
    bool allocate(unsigned queues) {
        queues_.reset(new (std::nothrow) Queue[queues]);
        return queues_ != nullptr;
    }
    // The queue for a frame. `completed(queue)`: how many frames have left that queue, ever.
    template <typename Completed>
    unsigned choose(uint32_t hash, unsigned preferred, Completed completed) {
        const size_t flow = hash % kFlows;
        const unsigned queue = queue_of_flow_[flow].load(std::memory_order_relaxed);
        if (queue == preferred) return queue;
        if (completed(queue) < queues_[queue].last_frame[flow].load(std::memory_order_relaxed)) {
            return queue;
        }
        queue_of_flow_[flow].store(static_cast<uint8_t>(preferred), std::memory_order_relaxed);
        return preferred;
    }
    // The frame went to the queue that choose() named, which has taken `accepted` frames with it.
    void sent(uint32_t hash, unsigned queue, uint64_t accepted) {
        queues_[queue].last_frame[hash % kFlows].store(accepted, std::memory_order_relaxed);
    }

  private:
    static constexpr size_t kFlows = 512;  // flows that meet in one stay together
    struct Queue {
        std::atomic<uint64_t> last_frame[kFlows] = {};
    };
    std::unique_ptr<Queue[]> queues_;
    std::atomic<uint8_t> queue_of_flow_[kFlows] = {};
};

}  // namespace coracle::net
