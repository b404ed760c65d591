// UDP as a protocol of IP: what comes in, and errors about what went out.
#pragma once

#include "libposix/net/ip.h"

namespace coracle::net {

void udp_input(BufferPtr packet, const IpInput& how);
void udp_error(const IcmpError& error);

}  // namespace coracle::net
