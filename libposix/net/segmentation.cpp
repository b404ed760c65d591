#include "libposix/net/segmentation.h"

#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/checksum.h"

namespace coracle::net {

namespace {

// Offsets in the TCP header (RFC 9293, 3.1), and flags.
constexpr size_t kTcpSequence = 4, kTcpDataOffset = 12, kTcpFlags = 13;
constexpr uint8_t kFin = 0x01, kPush = 0x08, kCongestionWindowReduced = 0x80;
constexpr size_t kUdpHeaderSize = 8, kUdpLength = 4;

}  // namespace

Segmenter::Segmenter(BufferPtr packet) : packet_(std::move(packet)) {
    const PacketInfo& info = packet_->info;
    size_t transport = info.checksum_start;
    size_t transport_size = info.segmentation == SegmentationType::kUdp
                                ? kUdpHeaderSize
                                : size_t{packet_->data()[transport + kTcpDataOffset]} / 16 * 4;
    headers_ = transport + transport_size;
    ASSERT(info.segment_size > 0 && headers_ <= packet_->length() &&
           headers_ + kPacketHeadroom <= kFrameBufferCapacity);
    payload_left_ = packet_->chain_length() - headers_;
    at_ = packet_.get();
    at_offset_ = headers_;
}

void Segmenter::fix_headers(uint8_t* headers, size_t payload, bool is_last, size_t index) const {
    const PacketInfo& info = packet_->info;
    uint8_t* transport = headers + info.checksum_start;
    size_t old_length = packet_->chain_length() - info.checksum_start;
    size_t new_length = headers_ - info.checksum_start + payload;
    if (headers[0] >> 4 == 4) {
        size_t size = (headers[0] & 15) * size_t{4};
        write_be16(headers + 2, static_cast<uint16_t>(headers_ + payload));
        write_be16(headers + 4, static_cast<uint16_t>(read_be16(headers + 4) + index));
        memset(headers + 10, 0, 2);
        uint16_t sum = checksum_of(headers, size);
        memcpy(headers + 10, &sum, 2);
    } else {
        write_be16(headers + 4, static_cast<uint16_t>(headers_ + payload - 40));
    }
    // The pseudo-header's sum is in the field, with the length of the whole: put ours in its place
    // (RFC 1624).
    uint16_t field;
    memcpy(&field, transport + info.checksum_offset, 2);
    uint64_t sum = uint64_t{field} + __builtin_bswap32(static_cast<uint32_t>(new_length)) +
                   static_cast<uint32_t>(~__builtin_bswap32(static_cast<uint32_t>(old_length)));
    field = checksum_fold(sum);
    memcpy(transport + info.checksum_offset, &field, 2);
    if (info.segmentation == SegmentationType::kUdp) {
        write_be16(transport + kUdpLength, static_cast<uint16_t>(kUdpHeaderSize + payload));
        return;
    }
    uint32_t sequence = read_be32(transport + kTcpSequence);
    write_be32(transport + kTcpSequence,
               sequence + static_cast<uint32_t>(index * info.segment_size));
    if (!is_last) transport[kTcpFlags] &= static_cast<uint8_t>(~(kFin | kPush));
    if (index > 0) transport[kTcpFlags] &= static_cast<uint8_t>(~kCongestionWindowReduced);
}

BufferPtr Segmenter::next() {
    if (payload_left_ == 0 && index_ > 0) return nullptr;
    size_t payload = std::min<size_t>(payload_left_, packet_->info.segment_size);
    BufferPtr segment = Buffer::allocate(kPacketHeadroom + headers_, kPacketHeadroom);
    size_t left = payload;
    Buffer* last = segment.get();
    while (segment && left > 0) {
        while (at_offset_ == at_->length()) {
            at_ = at_->next();
            at_offset_ = 0;
        }
        size_t piece = std::min(left, at_->length() - at_offset_);
        BufferPtr shared = at_->share(at_offset_, piece);
        if (!shared) {
            segment = nullptr;
            break;
        }
        at_offset_ += piece;
        left -= piece;
        Buffer* added = shared.get();
        last->set_next(std::move(shared));
        last = added;
    }
    if (!segment) {
        failed_ += (payload_left_ + packet_->info.segment_size - 1) / packet_->info.segment_size;
        payload_left_ = 0;
        index_++;
        return nullptr;
    }
    payload_left_ -= payload;
    memcpy(segment->append(headers_), packet_->data(), headers_);
    fix_headers(segment->data(), payload, payload_left_ == 0, index_);
    segment->info = packet_->info;
    segment->info.segment_size = 0;
    segment->info.segmentation = SegmentationType::kNone;
    index_++;
    return segment;
}

}  // namespace coracle::net
