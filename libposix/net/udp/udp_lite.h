// UDP-Lite (RFC 3828; man 7 udplite): UDP whose checksum covers the header and as much of the
// payload as the sender wants, so that what is damaged behind that still arrives. UDP's length
// field says how much; how long the datagram is, IP says.
#pragma once

#include <cstdint>
#include <optional>

#include "libposix/net/ip.h"

namespace coracle::net {

// What a socket asks for (UDPLITE_SEND_CSCOV, UDPLITE_RECV_CSCOV), in bytes with the header's; 0:
// all.
struct LiteCoverage {
    std::optional<uint16_t> of_sends;
    std::optional<uint16_t> least_of_receives;

    // setsockopt(2)'s value: less than the header is the header, and there is no more than the
    // field can say.
    static uint16_t from_option(int value);
    // Whether the socket takes a datagram of `length` bytes whose checksum covers `covered`.
    bool accepts(uint32_t covered, uint32_t length) const;
};

// How many bytes of a datagram the checksum covers, where that holds; `packet` starts at its
// header, which lies in the first buffer.
std::optional<uint32_t> checked_lite_coverage(const Buffer& packet, const IpInput& how);

// Fills in the coverage and the checksum of a datagram that starts at its header, which has
// neither.
void complete_lite_header(Buffer& packet, const IpAddress& source, const IpAddress& destination,
                          const LiteCoverage& wanted);

}  // namespace coracle::net
