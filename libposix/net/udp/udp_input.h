// UDP and UDP-Lite as protocols of IP: what comes in, and errors about what went out.
#pragma once

#include "libposix/net/ip.h"

namespace coracle::net {

void udp_input(BufferPtr packet, const IpInput& how);
void udp_error(const IcmpError& error);
void udp_lite_input(BufferPtr packet, const IpInput& how);
void udp_lite_error(const IcmpError& error);

}  // namespace coracle::net
