// Cuts the host's byte stream into the frames of kernel-min/abi/channel.h. Pure logic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "kernel-min/abi/channel.h"

namespace coracle {

class FrameReader {
  public:
    // Called for each piece of a frame's payload, in order; `remaining` bytes of it are still to
    // come. Payloads of up to kSmallPayload bytes come in one piece.
    using Deliver = void (*)(channel::FrameType type, std::span<const char> piece,
                             uint32_t remaining);
    static constexpr uint32_t kSmallPayload = 64;

    explicit FrameReader(Deliver deliver) : deliver_(deliver) {}

    void feed(std::span<const char> bytes) {
        while (!bytes.empty()) {
            if (collected_ < sizeof(header_)) {
                collect(bytes, reinterpret_cast<char*>(&header_), sizeof(header_));
                if (collected_ < sizeof(header_)) return;
                remaining_ = header_.length;
                if (remaining_ == 0) finish_piece({});
            } else if (header_.length <= kSmallPayload) {
                collect(bytes, small_ - sizeof(header_), sizeof(header_) + header_.length);
                if (collected_ < sizeof(header_) + header_.length) return;
                remaining_ = 0;
                finish_piece({small_, header_.length});
            } else {
                size_t count = bytes.size() < remaining_ ? bytes.size() : remaining_;
                remaining_ -= count;
                finish_piece(bytes.first(count));
                bytes = bytes.subspan(count);
            }
        }
    }

  private:
    // Moves bytes to `to` + collected_ until `target` are there.
    void collect(std::span<const char>& bytes, char* to, size_t target) {
        size_t count = target - collected_ < bytes.size() ? target - collected_ : bytes.size();
        memcpy(to + collected_, bytes.data(), count);
        collected_ += count;
        bytes = bytes.subspan(count);
    }
    void finish_piece(std::span<const char> piece) {
        if (remaining_ == 0) collected_ = 0;
        deliver_(header_.type, piece, remaining_);
    }

    Deliver deliver_;
    channel::FrameHeader header_ = {};
    char small_[kSmallPayload];
    size_t collected_ = 0;    // of the header and, if it is small, the payload
    uint32_t remaining_ = 0;  // of the payload
};

}  // namespace coracle
