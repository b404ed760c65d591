// The IP headers' fields by their offsets (RFC 791, 3.1; RFC 8200, 3 and 4).
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

namespace coracle::net {

namespace ipv4 {
constexpr size_t kHeaderSize = 20, kMaxHeaderSize = 60;
constexpr size_t kTypeOfService = 1, kTotalLength = 2, kIdentification = 4, kFragment = 6,
                 kTimeToLive = 8, kProtocol = 9, kChecksum = 10, kSource = 12, kDestination = 16;
constexpr uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000, kOffsetMask = 0x1fff;
}  // namespace ipv4

namespace ipv6 {
constexpr size_t kHeaderSize = 40;
constexpr size_t kPayloadLength = 4, kNextHeader = 6, kHopLimit = 7, kSource = 8, kDestination = 24;
constexpr size_t kFragmentHeaderSize = 8;
constexpr uint32_t kMinimumMtu = 1280;

inline bool is_extension(uint8_t next_header) {
    return next_header == IPPROTO_HOPOPTS || next_header == IPPROTO_ROUTING ||
           next_header == IPPROTO_FRAGMENT || next_header == IPPROTO_DSTOPTS;
}
}  // namespace ipv6

constexpr uint8_t kDefaultHopLimit = 64;
constexpr size_t kLinkHeadroom = 32;  // what the link and the device put in front of IP
constexpr size_t kMaxIpPacket = 65535;

}  // namespace coracle::net
