// How a ring of a packet socket lies in memory: what struct tpacket_req says, checked.
#pragma once

#include <linux/if_packet.h>

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle::net {

struct RingLayout {
    int version = TPACKET_V1;
    uint32_t reserve = 0;  // PACKET_RESERVE
    uint32_t block_size = 0, block_count = 0, frame_size = 0, frame_count = 0;
    // Of TPACKET_V3 alone.
    uint32_t timeout_ms = 0, private_size = 0;

    uint32_t frames_of_block() const { return frame_size ? block_size / frame_size : 0; }
    // EINVAL. `request` is as large as the version's.
    static Result<RingLayout> check(const tpacket_req3& request, int version, uint32_t reserve);
};

constexpr uint32_t ring_align(uint32_t size) {
    return (size + TPACKET_ALIGNMENT - 1) & ~uint32_t{TPACKET_ALIGNMENT - 1};
}
// sizeof(struct tpacketN_hdr).
constexpr uint32_t ring_header_size(int version) {
    return version == TPACKET_V1   ? sizeof(tpacket_hdr)
           : version == TPACKET_V2 ? sizeof(tpacket2_hdr)
                                   : sizeof(tpacket3_hdr);
}
// The header and the address behind it (TPACKETn_HDRLEN).
constexpr uint32_t ring_header_length(int version) {
    return ring_align(ring_header_size(version)) + sizeof(sockaddr_ll);
}
// Of a block of version 3: its description, and what the program has behind it.
constexpr uint32_t ring_block_header(uint32_t private_size) {
    return ((sizeof(tpacket_block_desc) + 7) & ~7u) + ((private_size + 7) & ~7u);
}

inline Result<RingLayout> RingLayout::check(const tpacket_req3& request, int version,
                                            uint32_t reserve) {
    constexpr uint32_t kPage = 4096;
    const RingLayout layout{.version = version,
                            .reserve = reserve,
                            .block_size = request.tp_block_size,
                            .block_count = request.tp_block_nr,
                            .frame_size = request.tp_frame_size,
                            .frame_count = request.tp_frame_nr,
                            .timeout_ms = request.tp_retire_blk_tov,
                            .private_size = request.tp_sizeof_priv};
    const uint64_t least = uint64_t{ring_header_length(version)} + reserve;
    const bool is_v3 = version == TPACKET_V3;
    const uint64_t least_block =
        is_v3 ? least + sizeof(tpacket_block_desc) + ((uint64_t{layout.private_size} + 7) & ~7ull)
              : 0;
    if (static_cast<int32_t>(layout.block_size) <= 0 || layout.block_size % kPage ||
        layout.block_size < least_block || layout.frame_size < least ||
        layout.frame_size % TPACKET_ALIGNMENT || layout.frames_of_block() == 0 ||
        layout.block_size > UINT32_MAX / layout.block_count ||
        uint64_t{layout.frames_of_block()} * layout.block_count != layout.frame_count) {
        return Error(EINVAL);
    }
    return layout;
}

}  // namespace coracle::net
