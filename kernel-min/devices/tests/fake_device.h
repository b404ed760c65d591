// The other side of a virtqueue, written from the specification's device point of view
// (virtio 1.2, 2.7.7 and 2.7.10). "Physical" addresses are the host's pointers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <vector>

#include "kernel-min/devices/virtio/virtqueue.h"

namespace coracle::virtio {

class FakeDevice {
  public:
    FakeDevice(Virtqueue& queue, uint16_t size, bool event_index)
        : size_(size), event_index_(event_index) {
        memory_ = aligned_alloc(kPageSize, 4 * kPageSize);
        queue.initialize(memory_, reinterpret_cast<uint64_t>(memory_), size, event_index);
        descriptors_ = reinterpret_cast<Descriptor*>(queue.descriptors_address());
        available_ = reinterpret_cast<AvailableRing*>(queue.available_address());
        used_ = reinterpret_cast<UsedRing*>(queue.used_address());
    }
    ~FakeDevice() { free(memory_); }

    struct Chain {
        uint16_t head;
        std::vector<Descriptor> buffers;
    };

    std::optional<Chain> take() {
        if (available_->index == next_) return std::nullopt;
        Chain chain{available_->ring[next_ % size_], {}};
        next_++;
        if (event_index_) set_available_event(next_);
        for (uint16_t i = chain.head;; i = descriptors_[i].next) {
            chain.buffers.push_back(descriptors_[i]);
            if (!(descriptors_[i].flags & kDescriptorNext)) break;
        }
        return chain;
    }

    // True: the driver wants an interrupt for it.
    bool give_back(uint32_t id, uint32_t length) {
        uint16_t old_index = used_->index;
        used_->ring[old_index % size_] = {id, length};
        used_->index = old_index + 1;
        if (!event_index_) return !(available_->flags & kAvailableNoInterrupt);
        return available_->ring[size_] == old_index;
    }

    void set_available_event(uint16_t index) {
        used_->ring[size_].id = (used_->ring[size_].id & 0xffff0000) | index;
    }
    void set_no_notify(bool value) { used_->flags = value ? kUsedNoNotify : 0; }

  private:
    uint16_t size_;
    bool event_index_;
    void* memory_;
    Descriptor* descriptors_;
    AvailableRing* available_;
    UsedRing* used_;
    uint16_t next_ = 0;
};

}  // namespace coracle::virtio
