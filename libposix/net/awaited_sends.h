// How many sends there are whose memory somebody waits for (MSG_ZEROCOPY). While there are any,
// drivers give back what they have sent as soon as they can, not when it suits them.
#pragma once

#include <cstdint>

namespace coracle::net {

inline constinit uint32_t awaited_sends = 0;

}  // namespace coracle::net
