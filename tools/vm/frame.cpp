#include "tools/vm/frame.h"

#include <fmt/format.h>

#include <cstring>

namespace coracle {

using channel::FrameHeader;
using channel::FrameType;

void append_frame(std::string& out, FrameType type, std::string_view payload) {
    FrameHeader header{type, {}, static_cast<uint32_t>(payload.size())};
    out.append(reinterpret_cast<const char*>(&header), sizeof(header));
    out.append(payload);
}

void append_frame_u32(std::string& out, FrameType type, uint32_t value) {
    append_frame(out, type, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

uint32_t frame_u32(const Frame& frame) {
    uint32_t value;
    if (frame.payload.size() != sizeof(value)) {
        throw ProtocolError(fmt::format("frame {} has a payload of {} bytes instead of 4",
                                        static_cast<int>(frame.type), frame.payload.size()));
    }
    std::memcpy(&value, frame.payload.data(), sizeof(value));
    return value;
}

std::optional<Frame> FrameReader::next() {
    FrameHeader header;
    if (buffered() < sizeof(header)) return std::nullopt;
    std::memcpy(&header, buffer_.data() + consumed_, sizeof(header));
    uint32_t limit = header.type == FrameType::kConfig ? channel::kMaxConfig : channel::kMaxPayload;
    if (header.length > limit) {
        throw ProtocolError(
            fmt::format("frame {} claims {} bytes", static_cast<int>(header.type), header.length));
    }
    if (buffered() < sizeof(header) + header.length) return std::nullopt;
    Frame frame{header.type, buffer_.substr(consumed_ + sizeof(header), header.length)};
    consumed_ += sizeof(header) + header.length;
    if (consumed_ == buffer_.size()) {
        buffer_.clear();
        consumed_ = 0;
    } else if (consumed_ >= channel::kMaxPayload) {
        buffer_.erase(0, consumed_);
        consumed_ = 0;
    }
    return frame;
}

}  // namespace coracle
