// The host's end of the program's standard input, when that is no terminal. The host sends no more
// than it was given credit for, which is the free space of the buffer here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/sched/wait.h"
#include "libposix/files/io_buffer.h"

namespace coracle {

class HostInput {
  public:
    static HostInput& instance() { return instance_; }
    // Listens to the host, which sends nothing before somebody shows interest.
    void start();

    // Somebody wants to read: the first time, the buffer is made and credit given. ENOMEM.
    Result<void> show_interest();

    // 0 at the end of file. EAGAIN, EFAULT, ENOMEM, kErestartsys.
    Result<size_t> read(IoBuffer& to, bool nonblocking);
    size_t available() const { return written_ - read_; }
    bool has_ended() const { return ended_; }
    WaitQueue changed;

  private:
    static constexpr unsigned kOrder = 4;
    static constexpr size_t kSize = size_t{4096} << kOrder;

    static void receive_data(std::span<const char> piece, uint32_t remaining);
    static void receive_end(std::span<const char> piece, uint32_t remaining);
    void give_credit();

    static HostInput instance_;
    char* buffer_ = nullptr;
    // Positions in the stream: read_ <= written_ <= granted_ <= read_ + kSize.
    uint64_t read_ = 0, written_ = 0, granted_ = 0;
    bool ended_ = false;
};

}  // namespace coracle
