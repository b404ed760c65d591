// DHCPv4 (RFC 2131, RFC 2132): an address, its network and a gateway for an interface.
#pragma once

#include "libposix/net/interface.h"

namespace coracle::net {

// Begins to ask, and keeps the lease for ever after; one interface.
void start_dhcp(Interface& interface);

constexpr uint16_t kDhcpClientPort = 68;
// A UDP datagram to that port, from its UDP header on. True: it was for us.
bool dhcp_input(const Buffer& datagram, Interface& interface);

}  // namespace coracle::net
