// One message on its way through a socket: what sendmsg(2) and recvmsg(2) describe by a msghdr.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <span>

#include "libposix/files/io_buffer.h"
#include "libposix/net/socket_address.h"
#include "libposix/net/socket_options.h"

namespace coracle {

// Control messages as the application gave them, copied and checked (cmsg(3)).
class ControlMessages {
  public:
    // ENOBUFS: more than net.core.optmem_max; EFAULT, EINVAL (a length that cannot be), ENOMEM.
    Result<void> read(uint64_t address, size_t length);
    bool is_empty() const { return bytes_.empty(); }

    struct Message {
        int level, type;
        std::span<const char> data;
    };
    // Calls visit(const Message&) -> Result<void> for each.
    template <typename Visit>
    Result<void> for_each(Visit visit) const {
        for (size_t at = 0; at + sizeof(cmsghdr) <= bytes_.size();) {
            const auto* head = reinterpret_cast<const cmsghdr*>(bytes_.data() + at);
            const char* data = bytes_.data() + at + CMSG_LEN(0);
            TRY(visit(
                Message{head->cmsg_level, head->cmsg_type, {data, head->cmsg_len - CMSG_LEN(0)}}));
            at += CMSG_ALIGN(head->cmsg_len);
        }
        return {};
    }

  private:
    static constexpr size_t kMaxBytes = 20480;  // net.core.optmem_max
    Result<void> check() const;

    alignas(cmsghdr) char inline_[64];
    std::unique_ptr<char[]> long_;
    std::span<const char> bytes_;
};

// Where control messages for the application go: its buffer of msg_control.
class ControlWriter {
  public:
    ControlWriter() = default;  // the caller wants none
    ControlWriter(uint64_t address, size_t size)
        : address_(address), start_(address), left_(size) {}

    bool is_wanted() const { return address_ != 0; }
    size_t room() const { return left_; }
    size_t used() const { return address_ - start_; }
    bool is_truncated() const { return truncated_; }
    void mark_truncated() { truncated_ = true; }

    // Appends one; what does not fit is cut and noted as MSG_CTRUNC. EFAULT.
    Result<void> put(int level, int type, const void* data, size_t size);
    // In two steps, for data that the caller writes itself: its address, or 0 if there is no room
    // for a header; then the header, with the bytes that were written.
    uint64_t data_address() const { return left_ > CMSG_LEN(0) ? address_ + CMSG_LEN(0) : 0; }
    Result<void> finish(int level, int type, size_t size);

  private:
    void advance(size_t size);

    uint64_t address_ = 0, start_ = 0;
    size_t left_ = 0;
    bool truncated_ = false;
};

struct SendMessage {
    IoBuffer& data;
    uint32_t flags;                            // MSG_*; MSG_DONTWAIT also stands for O_NONBLOCK
    const SocketAddress* to = nullptr;         // null: the peer
    const ControlMessages* control = nullptr;  // null: none
};

struct ReceiveMessage {
    IoBuffer& data;
    uint32_t flags;                    // as above
    SocketAddress* from = nullptr;     // set if not null; its length is 0 at first
    ControlWriter* control = nullptr;  // null: none, for read(2) and recvfrom(2)
    uint32_t result_flags = 0;         // msg_flags: MSG_TRUNC, MSG_EOR, MSG_OOB, MSG_ERRQUEUE

    // Appends a control message, or notes that there was one. EFAULT is ignored, as by Linux.
    void put_control(int level, int type, const void* data, size_t size) {
        if (control) (void)control->put(level, type, data, size);
    }
    // SO_TIMESTAMP and its like, if the message has a time (nanoseconds since 1970; 0: none).
    void put_timestamp(const SocketOptions& options, uint64_t time_ns);
};

}  // namespace coracle
