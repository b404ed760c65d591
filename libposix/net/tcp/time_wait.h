// What remains of a connection in TIME-WAIT (RFC 9293, 3.6.1): enough to answer, and to tell when
// the same flow may be used again (RFC 6191).
#pragma once

#include "libposix/net/tcp/connection.h"

namespace coracle::net::tcp {

struct TimeWait final : Flow {
    explicit TimeWait(const Connection& connection);

    // A segment for it. True: it is a SYN that may open the flow anew, with `initial_sequence`, and
    // the TIME-WAIT is to be removed.
    bool input(Stack& stack, const Segment& segment, Sequence& initial_sequence);
    // Whether connect() may take the flow over.
    bool may_be_reused(const Stack& stack) const;
    Sequence next_initial_sequence() const { return send_next + 65535 + 2; }

    PortSharing sharing;
    Sequence send_next, receive_next;
    uint32_t receive_window;
    uint32_t timestamp_recent, timestamp_offset;
    uint64_t timestamp_recent_ns;
    uint64_t last_ack_ns = 0;
    uint8_t receive_scale;
    bool timestamps_on;
    bool is_loopback;
};

}  // namespace coracle::net::tcp
