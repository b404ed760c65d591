// The TCP header (RFC 9293, 3.1) and its options: from and to the wire.
#pragma once

#include "libposix/net/address.h"
#include "libposix/net/buffer.h"
#include "libposix/net/tcp/sequence.h"

namespace coracle::net::tcp {

constexpr uint8_t kProtocolNumber = 6;

constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20,
                  kEce = 0x40, kCwr = 0x80;

constexpr size_t kHeaderSize = 20;
constexpr size_t kMaxOptionsSize = 40;
constexpr size_t kTimestampOptionSize = 12;  // with its two NOPs
constexpr uint8_t kMaxWindowScale = 14;      // RFC 7323, 2.3
constexpr size_t kMaxSackBlocks = 4;
constexpr uint8_t kFastOpenBase = 2;  // kind and length, before the cookie (RFC 7413, 4.1.1)
constexpr uint8_t kMinCookieSize = 4, kMaxCookieSize = 16;

struct SackBlock {
    Sequence start, end;
};

struct Options {
    bool has_timestamp = false;
    bool has_window_scale = false;
    bool sack_permitted = false;
    uint8_t window_scale = 0;
    uint8_t sack_count = 0;
    // Of the whole Fast Open option, which no segment with SACK blocks has; 0: absent,
    // kFastOpenBase: a cookie is asked for.
    uint8_t fast_open_size = 0;
    uint16_t maximum_segment_size = 0;  // 0: absent
    uint32_t timestamp = 0;
    uint32_t timestamp_echo = 0;
    union {
        SackBlock sack[kMaxSackBlocks] = {};
        uint8_t fast_open_cookie[kMaxCookieSize];  // of a SYN, which reports no blocks
    };
};

// A segment that arrived, or several that were merged on the way (the header of the first, PSH and
// FIN of the last).
struct Segment {
    FlowKey flow;  // as this host sees it: `local` is the destination
    Sequence sequence;
    Sequence acknowledgement;
    uint32_t length = 0;  // of the payload
    uint16_t window = 0;  // not scaled
    uint16_t urgent_pointer = 0;
    uint8_t flags = 0;
    bool congestion_experienced = false;  // ECN of the IP header
    uint16_t packets = 1;                 // that were merged
    Options options;
    BufferPtr data;  // the payload, exactly `length` bytes; null if there is none

    bool has(uint8_t flag) const { return (flags & flag) != 0; }
    // RFC 9293's SEG.LEN counts SYN and FIN.
    uint32_t sequence_length() const { return length + (flags & kSyn ? 1 : 0) + (flags & kFin); }
    Sequence end() const { return sequence + sequence_length(); }
};

enum class ParseResult : uint8_t { kGood, kBadHeader, kBadChecksum };

// Fills `segment` from a packet whose data() is the TCP header; the header with its options must
// lie in the first buffer, and the chain must end where the IP packet does. Checks the checksum
// unless packet->info.checksum says that somebody has. Sets all but flow.local.scope,
// flow.remote.scope and congestion_experienced.
ParseResult parse_segment(BufferPtr packet, const IpAddress& from, const IpAddress& to,
                          Segment& segment);

// The header of a segment to be sent. Options are written in the order and with the padding that
// Linux uses, so that peers' fast paths match.
struct HeaderFields {
    uint16_t source_port, destination_port;
    Sequence sequence, acknowledgement;
    uint8_t flags;
    uint16_t window;
    uint16_t urgent_pointer = 0;
};
size_t options_size(const Options& options);
// Writes kHeaderSize + options_size() bytes, with 0 for the checksum.
void write_header(uint8_t* to, const HeaderFields& fields, const Options& options);

// Sets the checksum of the segment at packet->data(), or, if `offload`, the pseudo-header's sum and
// packet->info for who finishes it.
void set_checksum(Buffer& packet, const FlowKey& flow, uint32_t length, bool offload);

}  // namespace coracle::net::tcp
