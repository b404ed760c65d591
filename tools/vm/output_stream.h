// One of the host program's outputs, written without ever waiting for its reader.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "tools/support/unique_fd.h"

namespace coracle {

class OutputStream {
  public:
    // `fd` is borrowed. Its file description is shared with other processes, so O_NONBLOCK is
    // never set on it: a pipe or terminal is opened a second time, a socket written with
    // MSG_DONTWAIT, and what can be neither gets writes so small that poll() vouches for them.
    explicit OutputStream(int fd);

    // Queues bytes; write_some() sends them. Dropped when the stream is broken.
    void queue(std::string_view bytes);
    // Writes what fits now. Returns the count of bytes that left the queue.
    size_t write_some();

    bool wants_write() const { return !broken_ && pending() > 0; }
    size_t pending() const { return buffer_.size() - offset_; }
    // The reader has gone (EPIPE) or the device failed.
    bool broken() const { return broken_; }
    void mark_broken();
    // What to poll() for POLLOUT and POLLERR.
    int poll_fd() const { return own_.valid() ? own_.get() : fd_; }

  private:
    enum class Kind { kFile, kNonBlocking, kSocket, kSmallWrites };

    int fd_;
    UniqueFd own_;
    Kind kind_;
    std::string buffer_;
    size_t offset_ = 0;
    bool broken_ = false;
};

}  // namespace coracle
