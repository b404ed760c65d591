// What the queues of a connection keep with each piece of data.
#pragma once

#include "libposix/net/buffer.h"
#include "libposix/net/tcp/header.h"

namespace coracle::net::tcp {

// Of a segment in the send queue: the control area of its first buffer.
struct SendSegment {
    Sequence sequence;
    uint32_t length;                                // payload
    uint64_t sent_ns;                               // last time
    uint16_t packets;                               // that it makes on the wire
    uint8_t flags;                                  // kFin, kPsh
    bool is_sacked, is_lost, is_in_retransmission;  // is_in_...: sent again, and not lost since
    bool was_retransmitted;
    Sequence end() const { return sequence + length + (flags & kFin); }
};
inline SendSegment& send_info(Buffer& segment) {
    return segment.control<SendSegment>();
}

// Of data in the receive and the out-of-order queue.
struct ReceivedData {
    Sequence sequence;
    uint32_t length;
    bool fin;
    Sequence end() const { return sequence + length; }
};
inline ReceivedData& received_info(Buffer& data) {
    return data.control<ReceivedData>();
}

}  // namespace coracle::net::tcp
