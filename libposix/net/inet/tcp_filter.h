// Filters (SO_ATTACH_FILTER) of TCP sockets: every segment for one goes through its filter, from
// the TCP header on.
#pragma once

#include "libposix/net/buffer.h"
#include "libposix/net/ip.h"

namespace coracle::net {

// Whether any TCP socket has ever had one: until then, nobody looks.
inline constinit bool tcp_filters_exist = false;

// `packet` from its TCP header on, that header in the first buffer. Cuts it if the filter does.
// False: it is to be dropped.
bool passes_tcp_filter(Buffer& packet, const IpInput& how);

}  // namespace coracle::net
