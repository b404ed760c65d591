// Cutting a large TCP segment or UDP datagram into those that fit the wire, in software, where the
// device cannot (TCP segmentation offload; UDP_SEGMENT).
#pragma once

#include "libposix/net/buffer.h"

namespace coracle::net {

// `packet` starts at its IP header and says in its info how it is to be cut; the pieces are whole
// packets whose payload is shared with it.
class Segmenter {
  public:
    explicit Segmenter(BufferPtr packet);

    // Null: that was all, or memory is short.
    BufferPtr next();
    size_t failed() const { return failed_; }  // pieces that could not be made

  private:
    void fix_headers(uint8_t* headers, size_t payload, bool is_last, size_t index) const;

    BufferPtr packet_;
    Buffer* at_ = nullptr;  // the buffer of the next byte of payload
    size_t at_offset_ = 0;
    size_t headers_ = 0;  // bytes of IP and transport header
    size_t payload_left_ = 0;
    size_t index_ = 0;
    size_t failed_ = 0;
};

}  // namespace coracle::net
