// A split virtqueue as its driver sees it (virtio 1.2, section 2.7). Pure logic over memory that
// the device shares; notifications are the transport's matter.
//
//   queue.add(buffers, token); ...      // any number of chains
//   if (queue.publish()) transport.notify(index);
//   while (auto used = queue.take_used()) ...
//
// Locks: none; a queue has one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "kernel-min/devices/virtio/virtio_abi.h"
#include "kernel-min/memory/frames.h"

namespace coracle::virtio {

constexpr uint16_t kMaxQueueSize = 256;

class Virtqueue {
  public:
    struct Buffer {
        PhysAddr address;
        uint32_t length;
        bool device_writes;
    };
    struct Used {
        uint64_t token;
        uint32_t length;  // bytes that the device wrote
    };

    // Bytes that a queue of `size` descriptors needs, in the layout that legacy devices insist on
    // (2.7.2): contiguous, and the used ring on a page of its own.
    static constexpr size_t memory_size(uint16_t size) {
        return used_offset(size) + 6 + 8 * size_t{size};
    }

    // `memory`: memory_size(size) bytes, page-aligned, that the device reaches at
    // `physical_memory`; zeroed here. `size` is a power of two up to kMaxQueueSize.
    void initialize(void* memory, PhysAddr physical_memory, uint16_t size, bool event_index);

    uint16_t size() const { return size_; }
    PhysAddr descriptors_address() const { return physical_memory_; }
    PhysAddr available_address() const { return physical_memory_ + 16 * uint64_t{size_}; }
    PhysAddr used_address() const { return physical_memory_ + used_offset(size_); }
    uint16_t free_descriptors() const { return free_count_; }

    // Queues a chain, buffers that the device reads first; it comes back from take_used() with
    // `token`. False if there are too few free descriptors.
    bool add(std::span<const Buffer> chain, uint64_t token);

    // Shows the device what was added. True: it asks to be notified.
    bool publish();

    // The next chain that the device has finished with. A device that breaks the rules (an index
    // that it was never given) is a broken host: such an element is skipped.
    std::optional<Used> take_used();
    bool has_used() const;

    // Off: the device is asked not to interrupt, and still may.
    void disable_interrupts();
    // Asks for an interrupt at the next used chain. True: some have been used already, so take
    // them first, for which no interrupt may come.
    bool enable_interrupts();

  private:
    static constexpr size_t used_offset(uint16_t size) {
        return (16 * size_t{size} + 6 + 2 * size_t{size} + 4095) & ~size_t{4095};
    }
    uint16_t& used_event() { return available_->ring[size_]; }
    uint16_t available_event() const;
    bool wants_notification(uint16_t old_index) const;

    Descriptor* descriptors_ = nullptr;
    AvailableRing* available_ = nullptr;
    UsedRing* used_ = nullptr;
    PhysAddr physical_memory_ = 0;
    uint16_t size_ = 0;
    bool event_index_ = false;
    uint16_t free_head_ = 0, free_count_ = 0;  // linked by Descriptor::next
    uint16_t next_available_ = 0;              // index of the next entry to fill
    uint16_t next_used_ = 0;                   // index of the next entry to take
    uint64_t tokens_[kMaxQueueSize];           // by head descriptor
    uint16_t chain_length_[kMaxQueueSize];     // 0: not a chain that the device has
};

}  // namespace coracle::virtio
