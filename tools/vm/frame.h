// Reading and writing the frames of kernel-min/abi/channel.h.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "kernel-min/abi/channel.h"

namespace coracle {

struct Frame {
    channel::FrameType type;
    std::string payload;
};

// The other end does not speak the protocol.
class ProtocolError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Appends one frame to `out`.
void append_frame(std::string& out, channel::FrameType type, std::string_view payload);
void append_frame_u32(std::string& out, channel::FrameType type, uint32_t value);

// The payload as one uint32_t; throws ProtocolError when it has another length.
uint32_t frame_u32(const Frame& frame);

// Cuts a byte stream into frames.
class FrameReader {
  public:
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    // The next whole frame, if it is there. Throws ProtocolError on a header that cannot be.
    std::optional<Frame> next();
    size_t buffered() const { return buffer_.size() - consumed_; }

  private:
    std::string buffer_;
    size_t consumed_ = 0;  // Bytes at the front of buffer_ that were handed out.
};

}  // namespace coracle
