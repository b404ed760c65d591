// Telling the routers of a link which groups this host listens to: IGMPv2 and v3 (RFC 2236,
// RFC 3376) and MLD (RFC 2710, RFC 3810), the exclude-nothing part of them, which is what joins
// without a source filter need.
#pragma once

#include "libposix/net/ip.h"

namespace coracle::net {

enum class GroupChange { kJoin, kLeave };

// Sends the change, once.
void report_group(Interface& interface, const IpAddress& group, GroupChange change);

void igmp_input(BufferPtr packet, const IpInput& how);
// All groups of the interface are reported.
void mld_query_input(const IpInput& how);

// Groups that no router needs to know of: those of one link.
bool is_reported(const IpAddress& group);

}  // namespace coracle::net
