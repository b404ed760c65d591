// The buffers that the whole network stack uses: for packets between drivers and protocols, and
// for the data that sockets hold.
//
// A Buffer is a header with a range of bytes in a block of memory. Buffers are chained (`next()`)
// when a packet lies in several pieces: a segment of 64 KiB for the device to cut, one that it
// merged, pages of a file. There is no limit on the pieces.
//
// Ownership: a BufferPtr owns one header and the rest of its chain; it cannot be copied. What is
// shared is the bytes: share() makes a header of its own on a range of the same block, and the
// block lives until the last header on it is gone. So a TCP send queue keeps the data while the
// device reads it, and a loopback connection hands the sender's bytes to the receiver.
//   Bytes of a block with several headers (is_shared()) must not be changed, but each header's
//   owner may write headers into headroom that it alone uses.
//
// Memory: blocks come in size classes from free lists of this CPU, so allocation and release are a
// few instructions and allocate nothing in steady state. A block may be freed on another CPU than
// the one it came from. All memory but a wrapped one is in the direct map, and contiguous: a driver
// may use direct_to_phys(data()). Wrapped memory must be so too.
//
// Locks: none. A buffer belongs to its holder, who may hold the kernel lock locally.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "kernel-min/lib/panic.h"

namespace coracle::net {

class Buffer;

// What the header of a packet's first buffer says of the whole packet.
enum class ChecksumState : uint8_t {
    kUnknown,   // in: to be checked. out: complete as it lies
    kVerified,  // in: the device or the sender on this machine vouches for it
    kPartial,   // out: the field at checksum_start + checksum_offset holds the pseudo-header's sum,
                // and who sends it adds the rest (virtio's VIRTIO_NET_HDR_F_NEEDS_CSUM). In over
                // loopback: good
};
enum class SegmentationType : uint8_t { kNone, kTcpV4, kTcpV6, kUdp };

struct PacketInfo {
    void* interface = nullptr;  // where it came from or goes to; owned by the IP layer
    uint32_t network_offset =
        0;  // of the IP header, from data(); what the layer that holds it says
    uint16_t checksum_start = 0;   // from data()
    uint16_t checksum_offset = 0;  // from checksum_start
    uint16_t segment_size = 0;     // payload bytes of each segment on the wire; 0: not to be cut
    ChecksumState checksum = ChecksumState::kUnknown;
    SegmentationType segmentation = SegmentationType::kNone;
    bool congestion_window_reduced = false;  // TCP CWR is set: in the first segment only
    bool network_checksum_holds = false;     // in: IPv4's header has been summed
    uint8_t link_type = 0;                   // PACKET_HOST and so on (linux/if_packet.h)
    uint16_t ethernet_protocol = 0;
};

struct BufferDeleter {
    void operator()(Buffer* buffer) const;
};

// Owns a buffer and the chain behind it.
class BufferPtr {
  public:
    BufferPtr() = default;
    BufferPtr(decltype(nullptr)) {}
    explicit BufferPtr(Buffer* owned) : buffer_(owned) {}
    BufferPtr(BufferPtr&& other) : buffer_(std::exchange(other.buffer_, nullptr)) {}
    BufferPtr& operator=(BufferPtr&& other) {
        std::swap(buffer_, other.buffer_);
        return *this;
    }
    inline ~BufferPtr();

    Buffer* get() const { return buffer_; }
    Buffer* operator->() const { return buffer_; }
    Buffer& operator*() const { return *buffer_; }
    explicit operator bool() const { return buffer_ != nullptr; }
    Buffer* release() { return std::exchange(buffer_, nullptr); }
    inline void reset();

  private:
    Buffer* buffer_ = nullptr;
};

// Capacities of the classes of blocks, headers not counted.
constexpr size_t kBufferHeaderSize = 192;
constexpr size_t kBufferBlockSizes[] = {kBufferHeaderSize, 512, 2048, 16 * 1024, 64 * 1024};
constexpr size_t kBufferClasses = sizeof(kBufferBlockSizes) / sizeof(kBufferBlockSizes[0]);
constexpr size_t buffer_capacity(size_t size_class) {
    return kBufferBlockSizes[size_class] - kBufferHeaderSize;
}
constexpr size_t kSmallBufferCapacity = buffer_capacity(1);  // an ACK, a short answer
constexpr size_t kFrameBufferCapacity = buffer_capacity(2);  // a frame of 1,500 bytes
constexpr size_t kLargeBufferCapacity = buffer_capacity(4);

// Room for the headers of every layer before TCP's or UDP's payload: virtio-net's 12, Ethernet 14,
// IPv6 40 (IPv4 with options 60), TCP with options 60; rounded up.
constexpr size_t kPacketHeadroom = 160;

class alignas(16) Buffer {
  public:
    // Called with the last header on wrapped memory, under the kernel lock held alone; `data` is
    // where that began.
    using Release = void (*)(void* data, void* context);
    static constexpr size_t kControlSize = 64;

    // An empty buffer with at least this capacity, `headroom` of it before data(). Null when out
    // of memory, or if `capacity` is above kLargeBufferCapacity.
    static BufferPtr allocate(size_t capacity, size_t headroom = 0);
    // A buffer on memory of somebody else's (a page of the page cache, a pinned page of the
    // application), which is kept by reference until release(data, context). Null when out of
    // memory; then release is not called.
    static BufferPtr wrap(void* data, size_t length, Release release, void* context);
    // A header on `length` bytes from `offset` of this one buffer (not of its chain); null when out
    // of memory. Neither has headroom or tailroom of the other's.
    BufferPtr share(size_t offset, size_t length);
    // A header on all bytes of this one buffer that also has its headroom, for a packet whose
    // headers are written there while this buffer keeps the payload; null when out of memory.
    // Precondition: !is_shared(), so that nobody else uses the headroom.
    BufferPtr share_with_headroom();

    uint8_t* data() const { return data_; }
    uint32_t length() const { return length_; }
    size_t headroom() const { return static_cast<size_t>(data_ - begin_); }
    size_t tailroom() const { return static_cast<size_t>(end_ - data_) - length_; }
    // Whether other headers have bytes of the same block.
    bool is_shared() const { return owner_->references_.load(std::memory_order_acquire) != 1; }
    // What it costs in memory (SO_RCVBUF and the like count this): the whole block or what was
    // wrapped, or the header alone if the bytes belong to another.
    size_t memory_size() const { return memory_size_; }
    // What holding it costs a receiver: bytes of another's block too, which that one may have
    // stopped paying for.
    size_t held_memory() const {
        return owner_ == this ? memory_size_ : kBufferHeaderSize + length_;
    }

    // Grow or shrink the range at either end. Preconditions: headroom(), tailroom(), length().
    uint8_t* push(size_t size) {
        ASSERT(size <= headroom());
        data_ -= size;
        length_ += static_cast<uint32_t>(size);
        return data_;
    }
    uint8_t* pull(size_t size) {
        ASSERT(size <= length_);
        data_ += size;
        length_ -= static_cast<uint32_t>(size);
        return data_;
    }
    uint8_t* append(size_t size) {
        ASSERT(size <= tailroom());
        uint8_t* end = data_ + length_;
        length_ += static_cast<uint32_t>(size);
        return end;
    }
    void truncate(size_t length) {
        ASSERT(length <= length_);
        length_ = static_cast<uint32_t>(length);
    }

    // The chain.
    Buffer* next() const { return next_; }
    BufferPtr take_next() { return BufferPtr(std::exchange(next_, nullptr)); }
    // Precondition: no next().
    void set_next(BufferPtr rest) {
        ASSERT(!next_);
        next_ = rest.release();
    }
    Buffer* last() {
        Buffer* buffer = this;
        while (buffer->next_) buffer = buffer->next_;
        return buffer;
    }
    size_t chain_length() const {
        size_t length = 0;
        for (const Buffer* buffer = this; buffer; buffer = buffer->next_) length += buffer->length_;
        return length;
    }
    size_t chain_memory_size() const {
        size_t size = 0;
        for (const Buffer* b = this; b; b = b->next_) size += b->memory_size();
        return size;
    }
    size_t chain_held_memory() const {
        size_t size = 0;
        for (const Buffer* b = this; b; b = b->next_) size += b->held_memory();
        return size;
    }
    // Copies from the chain; false if it has not so many bytes.
    bool copy_out(size_t offset, void* to, size_t size) const;

    // Of the first buffer of a packet.
    PacketInfo info;

    // Scratch memory of the layer that holds the buffer; undefined when it changes hands.
    template <typename T>
    T& control() {
        static_assert(sizeof(T) <= kControlSize && alignof(T) <= 8);
        return *reinterpret_cast<T*>(control_);
    }

    // Releases this one header; its chain must have been taken.
    static void free(Buffer* buffer) {
        Buffer* owner = buffer->owner_;
        if (owner != buffer) recycle(buffer);
        // The only reference cannot become another one meanwhile.
        if (owner->references_.load(std::memory_order_acquire) == 1 ||
            owner->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            destroy_block(owner);
        }
    }

  private:
    friend class BufferQueue;
    friend class BufferPtr;
    friend struct BufferPool;
    Buffer() = default;
    ~Buffer() = default;
    static void* take_block(size_t size_class);
    static void recycle(Buffer* block);
    static void destroy_block(Buffer* owner);

    Buffer* next_ = nullptr;
    Buffer* queue_next_ = nullptr;  // of BufferQueue, or of a free list
    Buffer* owner_ = this;          // whose block the bytes lie in
    uint8_t* data_ = nullptr;
    uint8_t* begin_ = nullptr;
    uint8_t* end_ = nullptr;
    uint32_t length_ = 0;
    // Of owners: the headers on the block, its own while in use. They may be on several CPUs.
    std::atomic<uint32_t> references_{1};
    uint32_t memory_size_ = kBufferHeaderSize;
    uint8_t size_class_ = 0;
    Release release_ = nullptr;
    void* release_context_ = nullptr;
    alignas(8) uint8_t control_[kControlSize];
};
static_assert(sizeof(Buffer) <= kBufferHeaderSize);

inline BufferPtr::~BufferPtr() {
    reset();
}

inline void BufferPtr::reset() {
    Buffer* buffer = std::exchange(buffer_, nullptr);
    while (buffer) {
        Buffer* next = std::exchange(buffer->next_, nullptr);
        Buffer::free(buffer);
        buffer = next;
    }
}

// Packets in a row, first in, first out.
class BufferQueue {
  public:
    BufferQueue() = default;
    BufferQueue(const BufferQueue&) = delete;
    BufferQueue& operator=(const BufferQueue&) = delete;
    ~BufferQueue() { clear(); }

    bool is_empty() const { return first_ == nullptr; }
    Buffer* first() const { return first_; }
    Buffer* last() const { return last_; }
    // The packet behind one that is in the queue.
    static Buffer* after(const Buffer* packet) { return packet->queue_next_; }
    // For a list of the caller's own, of packets that are in no queue.
    static void set_after(Buffer* packet, Buffer* next) { packet->queue_next_ = next; }

    void push_back(BufferPtr packet) {
        Buffer* added = packet.release();
        added->queue_next_ = nullptr;
        (last_ ? last_->queue_next_ : first_) = added;
        last_ = added;
    }
    void push_front(BufferPtr packet) {
        Buffer* added = packet.release();
        added->queue_next_ = first_;
        first_ = added;
        if (!last_) last_ = added;
    }
    // Behind `before`, which is in the queue; null: in front.
    void insert_after(Buffer* before, BufferPtr packet) {
        if (!before) return push_front(std::move(packet));
        if (before == last_) return push_back(std::move(packet));
        Buffer* added = packet.release();
        added->queue_next_ = std::exchange(before->queue_next_, added);
    }
    // Null if it is empty.
    BufferPtr pop_front() {
        Buffer* taken = first_;
        if (taken) {
            first_ = std::exchange(taken->queue_next_, nullptr);
            if (!first_) last_ = nullptr;
        }
        return BufferPtr(taken);
    }
    // Takes out the one behind `before` (null: the first). Precondition: there is one.
    BufferPtr remove_after(Buffer* before) {
        if (!before) return pop_front();
        Buffer* taken = before->queue_next_;
        before->queue_next_ = std::exchange(taken->queue_next_, nullptr);
        if (last_ == taken) last_ = before;
        return BufferPtr(taken);
    }
    void clear() {
        while (first_) pop_front();
    }

  private:
    Buffer* first_ = nullptr;
    Buffer* last_ = nullptr;
};

// Memory of all blocks, in use or kept for the next, and what sockets may make of it: from half of
// the limit on their buffers stop growing, and beyond it one that holds something takes no more
// (Linux's tcp_mem and udp_mem). Drivers and packets on their way may always allocate.
struct BufferMemory {
    std::atomic<size_t> allocated{0};
    size_t limit = SIZE_MAX;
};
inline constinit BufferMemory buffer_memory;
inline bool buffers_are_short() {
    return buffer_memory.allocated.load(std::memory_order_relaxed) > buffer_memory.limit / 2;
}
inline bool buffers_are_exhausted() {
    return buffer_memory.allocated.load(std::memory_order_relaxed) > buffer_memory.limit;
}

// Blocks in use and in the free lists, by class.
struct BufferStatistics {
    size_t in_use[kBufferClasses];
    size_t free[kBufferClasses];
    size_t failed_allocations;
};
BufferStatistics buffer_statistics();
// Before the first Buffer; when all CPUs run. False: out of memory.
bool allocate_buffer_pools();
// Deferred work (deferred_work.h): releases the wrapped memory whose last header was freed under
// the kernel lock held locally.
void release_wrapped_buffers();
// Gives the free lists back to the kernel's heap: when memory is short, and at a test's end.
void drain_buffer_pools();

}  // namespace coracle::net
