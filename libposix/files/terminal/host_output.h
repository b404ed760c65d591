// The host's ends of the program's standard output and error (kernel-min/abi/channel.h): bytes
// leave as far as the host has given credit, which a pipe's free space would be elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/abi/channel.h"
#include "kernel-min/sched/wait.h"
#include "libposix/files/io_buffer.h"

namespace coracle {

class HostOutput {
  public:
    // Precondition: `descriptor` is 1 or 2.
    static HostOutput& of(int descriptor);
    // Listens to what the host says about both.
    static void start();

    // Sends everything, sleeping for credit. EPIPE once the reader has gone (and no signal);
    // EAGAIN, EFAULT, kErestartsys if nothing was sent before.
    Result<size_t> write(IoBuffer& from, bool nonblocking);
    // Sends what there is credit for, and drops the rest.
    void write_now(std::span<const char> bytes);

    // Sleeps until `bytes` can be sent without sleeping. EPIPE, EAGAIN, kErestartsys.
    Result<void> wait_for_credit(size_t bytes, bool nonblocking);

    size_t credit() const { return credit_; }
    bool is_closed() const { return closed_; }
    WaitQueue changed;

  private:
    explicit HostOutput(channel::FrameType type) : type_(type) {}
    void use_credit(size_t bytes);
    static void receive_credit(std::span<const char> piece, uint32_t remaining);
    static void receive_closed(std::span<const char> piece, uint32_t remaining);

    static HostOutput streams_[2];
    channel::FrameType type_;
    size_t credit_ = channel::kInitialOutputCredit;
    bool closed_ = false;
};

}  // namespace coracle
