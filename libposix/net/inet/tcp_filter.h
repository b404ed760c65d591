// What TCP sockets let in: every segment for one goes through its filter (SO_ATTACH_FILTER), from
// the TCP header on, and may need a hop limit (IP_MINTTL, IPV6_MINHOPCOUNT).
#pragma once

#include "libposix/net/buffer.h"
#include "libposix/net/ip.h"

namespace coracle::net {

// Whether any TCP socket has ever had either: until then, nobody looks.
inline constinit bool tcp_filters_exist = false;

// `packet` from its TCP header on, that header in the first buffer. Cuts it if the filter does.
// False: it is to be dropped.
bool passes_tcp_filter(Buffer& packet, const IpInput& how);

}  // namespace coracle::net
