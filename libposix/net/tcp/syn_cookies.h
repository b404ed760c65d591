// SYN cookies (RFC 4987, 3.6): when the SYN queue is full, what the handshake needs to know travels
// in our sequence number (time, MSS) and timestamp (window scale, SACK, ECN).
#pragma once

#include "libposix/net/tcp/header.h"
#include "libposix/net/tcp/secret_hash.h"

namespace coracle::net::tcp {

struct CookieOptions {
    uint16_t maximum_segment_size;
    bool has_window_scale, sack_permitted, ecn;
    uint8_t window_scale;
};

Sequence make_cookie(const HashSecret& secret, const FlowKey& flow, Sequence peer_sequence,
                     uint16_t peer_segment, uint64_t now_ns);
// The MSS that the cookie stands for; 0 if it is none of ours, or older than two minutes.
uint16_t check_cookie(const HashSecret& secret, const FlowKey& flow, Sequence peer_sequence,
                      Sequence cookie, uint64_t now_ns);

// The low bits of a timestamp hold the options; it is not later than `clock_ms`.
uint32_t cookie_timestamp(const Options& syn, bool ecn, uint32_t clock_ms);
void read_cookie_timestamp(uint32_t timestamp, CookieOptions& to);

}  // namespace coracle::net::tcp
