// What lies between two AF_UNIX sockets: packets in net::Buffers, each with its sender,
// credentials and descriptors.
#pragma once

#include <cstdint>

#include "libposix/files/io_buffer.h"
#include "libposix/net/buffer.h"
#include "libposix/net/unix/rights.h"

namespace coracle {

class UnixAddress;
class UnixEndpoint;

struct UnixCredentials {  // struct ucred, as SCM_CREDENTIALS carries it
    static constexpr uint32_t kOverflowId = 65534;
    uint32_t pid = 0, uid = kOverflowId, gid = kOverflowId;
    bool operator==(const UnixCredentials&) const = default;
};

// In the control bytes of a packet's first buffer. Owned by the queue.
struct UnixMessage {
    UnixEndpoint* sender;  // counted; its send buffer is charged
    UnixAddress* from;     // counted; null: it had no name
    UnixRights* rights;    // null: none
    uint32_t charge;       // bytes of the sender's send buffer
    uint32_t length;       // that are left to read
    UnixCredentials credentials;
};

inline UnixMessage& message_of(net::Buffer& packet) {
    return packet.control<UnixMessage>();
}

// A packet that is being built: gives back what it holds unless it is queued.
class UnixPacket {
  public:
    UnixPacket() = default;
    UnixPacket(UnixPacket&&) = default;
    UnixPacket& operator=(UnixPacket&& other) {
        release();
        buffer_ = std::move(other.buffer_);
        return *this;
    }
    ~UnixPacket() { release(); }

    // Room for `size` bytes, charged to `sender`. ENOBUFS.
    static Result<UnixPacket> allocate(UnixEndpoint& sender, size_t size);
    // Takes one that has a UnixMessage.
    static UnixPacket adopt(net::BufferPtr buffer) { return UnixPacket(std::move(buffer)); }

    explicit operator bool() const { return static_cast<bool>(buffer_); }
    net::Buffer& buffer() const { return *buffer_; }
    UnixMessage& message() const { return message_of(*buffer_); }
    net::BufferPtr take() { return std::move(buffer_); }
    // Gives back what it holds and charges.
    void release();

  private:
    explicit UnixPacket(net::BufferPtr buffer) : buffer_(std::move(buffer)) {}
    net::BufferPtr buffer_;
};

class UnixMessageQueue {
  public:
    UnixMessageQueue() = default;
    ~UnixMessageQueue() { clear(); }

    bool is_empty() const { return packets_.is_empty(); }
    size_t count() const { return count_; }
    size_t bytes() const { return bytes_; }
    net::Buffer* first() const { return packets_.first(); }
    net::Buffer* last() const { return packets_.last(); }
    static net::Buffer* after(const net::Buffer* packet) { return net::BufferQueue::after(packet); }

    void push(UnixPacket packet);
    UnixPacket pop();
    // Appends to the last packet. Precondition: it has the tailroom.
    void append(const void* data, size_t size);
    // The first `size` bytes of a packet of the queue were read.
    void consume(net::Buffer& packet, size_t size);
    void clear();

  private:
    net::BufferQueue packets_;
    size_t count_ = 0;
    size_t bytes_ = 0;
};

// Copies `size` bytes from `offset` of a packet into the buffer, and returns how many it could.
size_t copy_packet_out(const net::Buffer& packet, size_t offset, size_t size, IoBuffer& to);
// Fills a packet with `size` bytes. EFAULT.
Result<void> copy_packet_in(net::Buffer& packet, size_t size, IoBuffer& from);

}  // namespace coracle
