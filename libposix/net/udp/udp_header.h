// The UDP header's fields by their offsets (RFC 768).
#pragma once

#include <cstddef>

namespace coracle::net {

constexpr size_t kUdpHeaderSize = 8;
namespace udp {
constexpr size_t kSourcePort = 0, kDestinationPort = 2, kLength = 4, kChecksum = 6;
}

}  // namespace coracle::net
