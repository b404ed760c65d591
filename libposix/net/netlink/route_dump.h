// What NETLINK_ROUTE tells of interfaces, addresses, routes and neighbours (man 7 rtnetlink).
#pragma once

#include "libposix/net/netlink/message_writer.h"

namespace coracle::net {

// Who asks, and for what.
struct DumpRequest {
    uint32_t sequence, port;
    uint8_t family;  // AF_UNSPEC: all
    uint16_t flags;  // of every message: NLM_F_MULTI, or 0 for a single answer
};

// Each writes the entry with this number, if the request's family has it. False: there are no more.
bool write_link(MessageWriter& to, const DumpRequest& request, size_t number);
bool write_address(MessageWriter& to, const DumpRequest& request, size_t number);
bool write_route(MessageWriter& to, const DumpRequest& request, size_t number);
bool write_neighbor(MessageWriter& to, const DumpRequest& request, size_t number);
constexpr size_t kLargestEntry = 1024;

// The answer to RTM_GETROUTE for one destination.
struct Route;
class IpAddress;
void write_found_route(MessageWriter& to, const DumpRequest& request, const IpAddress& destination,
                       const Route& route);

}  // namespace coracle::net
