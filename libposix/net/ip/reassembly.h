// Joining fragments (RFC 791, 3.2; RFC 8200, 4.5), with a bound on what may wait.
#pragma once

#include "libposix/net/ip.h"

namespace coracle::net {

struct FragmentInfo {
    uint32_t identification;
    uint32_t offset;  // bytes
    bool has_more;
};

// `packet` from its payload on, headers before it. The whole packet, when this was its last missing
// piece; `how` then has the first fragment's header length, protocol and traffic class. Datagrams
// whose fragments overlap are dropped (RFC 5722; as Linux for IPv4), as are those not complete
// after 30 s (IPv4) or 60 s, with ICMP's time exceeded if the first fragment came.
BufferPtr reassemble(BufferPtr packet, IpInput& how, const FragmentInfo& fragment);

constexpr size_t kMaxReassemblies = 64;
constexpr size_t kMaxReassemblyMemory = 4 * 1024 * 1024;
size_t reassembly_memory();
void clear_reassembly();

}  // namespace coracle::net
