#include "libposix/net/tcp/header.h"

#include "libposix/net/checksum.h"

namespace coracle::net::tcp {

namespace {
constexpr uint8_t kOptionEnd = 0, kOptionNop = 1, kOptionMss = 2, kOptionWindowScale = 3,
                  kOptionSackPermitted = 4, kOptionSack = 5, kOptionTimestamp = 8,
                  kOptionFastOpen = 34;
constexpr uint32_t kAlignedTimestamp = 0x0101080a;  // NOP, NOP, timestamps, 10 bytes
constexpr size_t kChecksumOffset = 16;

void parse_sack(const uint8_t* data, size_t size, Options& options) {
    options.sack_count = 0;
    for (; size >= 8 && options.sack_count < kMaxSackBlocks; data += 8, size -= 8) {
        options.sack[options.sack_count++] = {Sequence(read_be32(data)),
                                              Sequence(read_be32(data + 4))};
    }
}

// RFC 7413, 4.1.1: an even number of bytes, or none to ask for a cookie.
bool is_fast_open_size(uint8_t size) {
    return size == kFastOpenBase || (size % 2 == 0 && size >= kFastOpenBase + kMinCookieSize &&
                                     size <= kFastOpenBase + kMaxCookieSize);
}

// An option of a wrong size is passed over, as Linux does; one that overruns ends the list.
void parse_options(const uint8_t* data, size_t size, uint8_t flags, Options& options) {
    if (size == kTimestampOptionSize && read_be32(data) == kAlignedTimestamp) [[likely]] {
        options.has_timestamp = true;
        options.timestamp = read_be32(data + 4);
        options.timestamp_echo = read_be32(data + 8);
        return;
    }
    bool syn = (flags & kSyn) != 0;
    while (size > 0 && *data != kOptionEnd) {
        if (*data == kOptionNop) {
            data++, size--;
            continue;
        }
        if (size < 2 || data[1] < 2 || data[1] > size) return;
        uint8_t length = data[1];
        const uint8_t* value = data + 2;
        if (*data == kOptionMss && length == 4 && syn) {
            options.maximum_segment_size = read_be16(value);
        } else if (*data == kOptionWindowScale && length == 3 && syn) {
            options.has_window_scale = true;
            options.window_scale = *value < kMaxWindowScale ? *value : kMaxWindowScale;
        } else if (*data == kOptionSackPermitted && length == 2 && syn) {
            options.sack_permitted = true;
        } else if (*data == kOptionSack && length >= 10 && (length - 2) % 8 == 0) {
            parse_sack(value, length - 2u, options);
        } else if (*data == kOptionTimestamp && length == 10) {
            options.has_timestamp = true;
            options.timestamp = read_be32(value);
            options.timestamp_echo = read_be32(value + 4);
        } else if (*data == kOptionFastOpen && syn && is_fast_open_size(length)) {
            options.fast_open_size = length;
            memcpy(options.fast_open_cookie, value, length - kFastOpenBase);
        }
        data += length;
        size -= length;
    }
}

// SACK blocks, or the Fast Open option.
void write_last_option(uint8_t* to, const Options& options) {
    if (options.sack_count) {
        write_be32(to, 0x01010000u | uint32_t{kOptionSack} << 8 | (2u + 8u * options.sack_count));
        to += 4;
        for (size_t i = 0; i < options.sack_count; i++, to += 8) {
            write_be32(to, options.sack[i].start.value());
            write_be32(to + 4, options.sack[i].end.value());
        }
        return;
    }
    uint8_t size = options.fast_open_size;
    to[0] = kOptionFastOpen;
    to[1] = size;
    memcpy(to + kFastOpenBase, options.fast_open_cookie, size - kFastOpenBase);
    if (size % 4) memset(to + size, kOptionNop, 2);
}
}  // namespace

ParseResult parse_segment(BufferPtr packet, const IpAddress& from, const IpAddress& to,
                          Segment& segment) {
    const uint8_t* header = packet->data();
    if (packet->length() < kHeaderSize) return ParseResult::kBadHeader;
    size_t header_size = (header[12] >> 4) * 4u;
    if (header_size < kHeaderSize || header_size > packet->length()) return ParseResult::kBadHeader;
    size_t total = packet->next() ? packet->chain_length() : packet->length();
    if (packet->info.checksum == ChecksumState::kUnknown &&
        !transport_checksum_holds(*packet, from, to, kProtocolNumber)) {
        return ParseResult::kBadChecksum;
    }
    segment.flow.remote.address = from;
    segment.flow.local.address = to;
    segment.flow.remote.port = read_be16(header);
    segment.flow.local.port = read_be16(header + 2);
    segment.sequence = Sequence(read_be32(header + 4));
    segment.acknowledgement = Sequence(read_be32(header + 8));
    segment.flags = header[13];
    segment.window = read_be16(header + 14);
    segment.urgent_pointer = read_be16(header + 18);
    segment.options = Options();
    if (header_size > kHeaderSize) {
        parse_options(header + kHeaderSize, header_size - kHeaderSize, segment.flags,
                      segment.options);
    }
    segment.length = static_cast<uint32_t>(total - header_size);
    segment.packets = 1;
    if (uint16_t size = packet->info.segment_size; size && segment.length > size) {
        segment.packets = static_cast<uint16_t>((segment.length + size - 1) / size);
    }
    packet->pull(header_size);
    // A first buffer with the header alone gives its place to the payload.
    while (packet && packet->length() == 0) packet = packet->take_next();
    segment.data = std::move(packet);
    return ParseResult::kGood;
}

size_t options_size(const Options& options) {
    size_t size = 0;
    if (options.maximum_segment_size) size += 4;
    if (options.has_timestamp) {
        size += kTimestampOptionSize;
    } else if (options.sack_permitted) {
        size += 4;
    }
    if (options.has_window_scale) size += 4;
    if (options.sack_count || options.fast_open_size) {
        size +=
            options.sack_count ? 4 + 8u * options.sack_count : (options.fast_open_size + 3u) & ~3u;
    }
    return size;
}

void write_header(uint8_t* to, const HeaderFields& fields, const Options& options) {
    size_t size = kHeaderSize + options_size(options);
    write_be16(to, fields.source_port);
    write_be16(to + 2, fields.destination_port);
    write_be32(to + 4, fields.sequence.value());
    write_be32(to + 8, fields.acknowledgement.value());
    to[12] = static_cast<uint8_t>(size / 4 << 4);
    to[13] = fields.flags;
    write_be16(to + 14, fields.window);
    write_be16(to + 16, 0);
    write_be16(to + 18, fields.urgent_pointer);
    to += kHeaderSize;
    if (options.maximum_segment_size) {
        write_be32(to, uint32_t{kOptionMss} << 24 | 4u << 16 | options.maximum_segment_size);
        to += 4;
    }
    if (options.has_timestamp) {
        // SACK-permitted takes the place of the padding.
        write_be32(to, options.sack_permitted
                           ? uint32_t{kOptionSackPermitted} << 24 | 2u << 16 | 0x080a
                           : kAlignedTimestamp);
        write_be32(to + 4, options.timestamp);
        write_be32(to + 8, options.timestamp_echo);
        to += kTimestampOptionSize;
    } else if (options.sack_permitted) {
        write_be32(to, 0x01010000u | uint32_t{kOptionSackPermitted} << 8 | 2);
        to += 4;
    }
    if (options.has_window_scale) {
        write_be32(to, uint32_t{kOptionNop} << 24 | uint32_t{kOptionWindowScale} << 16 | 3u << 8 |
                           options.window_scale);
        to += 4;
    }
    if (options.sack_count || options.fast_open_size) write_last_option(to, options);
}

void set_checksum(Buffer& packet, const FlowKey& flow, uint32_t length, bool offload) {
    uint64_t sum =
        pseudo_header_sum(flow.local.address, flow.remote.address, kProtocolNumber, length);
    uint16_t value = checksum_fold(sum);
    if (offload) {
        packet.info.checksum = ChecksumState::kPartial;
        packet.info.checksum_start = 0;
        packet.info.checksum_offset = kChecksumOffset;
    } else {
        value = static_cast<uint16_t>(~checksum_fold(checksum_add_chain(packet, 0, length, sum)));
    }
    memcpy(packet.data() + kChecksumOffset, &value, 2);
}

}  // namespace coracle::net::tcp
