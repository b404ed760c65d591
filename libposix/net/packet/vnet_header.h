// PACKET_VNET_HDR: struct virtio_net_hdr in front of a frame (virtio 1.2, 5.1.6), which says what
// is left to do to it: complete its checksum, cut it into segments.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "libposix/net/buffer.h"

namespace coracle::net {

// Its layout, and flags; the C library's header is not C++.
struct VnetHeader {
    uint8_t flags = 0;
    uint8_t gso_type = 0;
    uint16_t header_length = 0, gso_size = 0;
    uint16_t checksum_start = 0, checksum_offset = 0;  // as in PacketInfo

    // The bytes that must be there: the headers, and the checksum's field.
    uint32_t least_header_length() const {
        const uint32_t field = flags & 1 ? checksum_start + checksum_offset + 2u : 0;
        return header_length > field ? header_length : field;
    }
};
static_assert(sizeof(VnetHeader) == 10);
constexpr uint8_t kVnetNeedsChecksum = 1, kVnetDataValid = 2;
constexpr uint8_t kGsoNone = 0, kGsoTcpV4 = 1, kGsoTcpV6 = 4, kGsoUdpL4 = 5, kGsoEcn = 0x80;

// Of a frame that starts at its Ethernet header.
VnetHeader vnet_header_of(const Buffer& frame);

// Puts what the header says into the frame's info. Nothing of the header is trusted afterwards.
// EINVAL: it does not fit the frame, or asks for what is not there: UDP fragmentation
// (VIRTIO_NET_HDR_GSO_UDP), segmentation without a checksum to complete,
// or under extension headers.
Result<void> apply_vnet_header(const VnetHeader& header, Buffer& frame);

}  // namespace coracle::net
