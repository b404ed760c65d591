// What filters of sockets above IP see.
#pragma once

#include "libposix/net/filter/bpf_program.h"
#include "libposix/net/ip.h"

namespace coracle::net {

// `packet` is what follows the IP headers, less `pulled` bytes that were taken off since; the
// program's byte 0 lies `before` bytes in front of what follows the IP headers.
inline BpfPacket ip_filter_input(const Buffer& packet, const IpInput& how, int32_t pulled,
                                 int32_t before = 0) {
    return {.chain = packet,
            .start = -pulled - before,
            .network = -pulled - static_cast<int32_t>(how.header_length),
            .has_network = true,
            .protocol = static_cast<uint16_t>(how.destination.is_v4() ? 0x0800 : 0x86dd),
            .hardware_type = how.interface->hardware_type(),
            .packet_type = packet.info.link_type,
            .interface_index = how.interface->index()};
}

}  // namespace coracle::net
