// The error queue of a socket (MSG_ERRQUEUE, man 7 ip: IP_RECVERR): ICMP errors about what it sent,
// errors of this machine, and notices of MSG_ZEROCOPY.
#pragma once

#include <span>

#include "libposix/net/address.h"
#include "libposix/net/buffer.h"
#include "libposix/net/socket.h"

namespace coracle::net {

// struct sock_extended_err, with who reports it.
struct QueuedError {
    IpAddress destination, offender;  // of the message that failed; who says so
    uint32_t error, info, data;
    uint16_t port;
    uint8_t origin, type, code;
};

class ErrorQueue {
  public:
    bool is_empty() const { return queue_.is_empty(); }
    // Memory of what waits, which the socket bounds.
    size_t memory() const { return memory_; }

    // `payload`: of the message that failed. Lost if there is no memory.
    void push(const QueuedError& error, std::span<const uint8_t> payload = {});
    // The send of this number is done (Documentation/networking/msg_zerocopy.rst). Notices that
    // follow each other become one.
    void push_zero_copy(uint32_t number, bool is_copied);
    // recvmsg(2) of the first, for a socket of this family. EAGAIN, EFAULT.
    Result<size_t> receive(int family, ReceiveMessage& message);
    // The errno of the first that waits: SO_ERROR; 0 if there is none.
    int first_error() const;

  private:
    BufferQueue queue_;
    size_t memory_ = 0;
};

}  // namespace coracle::net
