// The bytes that are on their way to the device: a ring of contiguous memory that frames are
// appended to, and that a virtqueue empties in order. Pure logic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernel-min/devices/virtio/virtqueue.h"
#include "kernel-min/lib/panic.h"

namespace coracle {

class TransmitRing {
  public:
    // `size`, a power of two, bytes at `memory`.
    void initialize(char* memory, PhysAddr physical_memory, size_t size, virtio::Virtqueue& queue) {
        memory_ = memory;
        physical_memory_ = physical_memory;
        size_ = size;
        queue_ = &queue;
        written_ = queued_ = sent_ = 0;
    }

    size_t size() const { return size_; }
    size_t free_space() const { return size_ - (written_ - sent_); }
    size_t unpublished() const { return written_ - queued_; }
    bool is_empty() const { return written_ == sent_; }

    // Where the bytes `offset`.. behind the end lie, and how many of them up to the ring's end.
    // Precondition: offset is in free_space().
    char* at(size_t offset, size_t* contiguous) const {
        size_t start = (written_ + offset) & (size_ - 1);
        *contiguous = size_ - start;
        return memory_ + start;
    }
    // Copies to `offset` behind the end; advance() then makes it part of the ring.
    void put(size_t offset, const void* data, size_t length) {
        size_t contiguous;
        char* to = at(offset, &contiguous);
        if (length <= contiguous) [[likely]] {
            memcpy(to, data, length);
            return;
        }
        memcpy(to, data, contiguous);
        memcpy(memory_, static_cast<const char*>(data) + contiguous, length - contiguous);
    }
    void advance(size_t length) {
        ASSERT(length <= free_space());
        written_ += length;
    }

    // Gives the device all that was appended. True: it asks to be notified. Without a free
    // descriptor the bytes wait for the next call.
    bool publish() {
        if (written_ == queued_) return false;
        size_t start = queued_ & (size_ - 1), length = written_ - queued_;
        size_t first = length < size_ - start ? length : size_ - start;
        virtio::Virtqueue::Buffer chain[2] = {
            {physical_memory_ + start, static_cast<uint32_t>(first), false},
            {physical_memory_, static_cast<uint32_t>(length - first), false}};
        if (!queue_->add({chain, first < length ? size_t{2} : size_t{1}}, written_)) return false;
        queued_ = written_;
        return queue_->publish();
    }

    // Frees what the device has taken. True: that was something.
    bool reclaim() {
        uint64_t before = sent_;
        // A byte stream is consumed in order, so the last chain's end is how far it got.
        while (auto used = queue_->take_used()) sent_ = used->token;
        return sent_ != before;
    }

  private:
    char* memory_ = nullptr;
    PhysAddr physical_memory_ = 0;
    size_t size_ = 0;
    virtio::Virtqueue* queue_ = nullptr;
    // Positions in the stream since it began: sent_ <= queued_ <= written_ <= sent_ + size_.
    uint64_t written_ = 0, queued_ = 0, sent_ = 0;
};

}  // namespace coracle
