// Network prefixes of addresses of either family.
#pragma once

#include <algorithm>

#include "libposix/net/address.h"

namespace coracle::net {

inline uint8_t full_prefix(const IpAddress& address) {
    return address.is_v4() ? 32 : 128;
}

inline IpAddress wildcard_of(const IpAddress& address) {
    return address.is_v4() ? IpAddress::any_v4() : IpAddress::any_v6();
}

inline bool in_prefix(const IpAddress& address, const IpAddress& network, unsigned prefix_length) {
    if (address.is_v4() != network.is_v4()) return false;
    unsigned bits = prefix_length + (address.is_v4() ? 96 : 0);
    const uint8_t *a = address.v6_bytes(), *b = network.v6_bytes();
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0) return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

inline IpAddress mask_address(const IpAddress& address, unsigned prefix_length) {
    uint8_t bytes[16];
    memcpy(bytes, address.v6_bytes(), 16);
    unsigned bits = prefix_length + (address.is_v4() ? 96 : 0);
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = std::clamp(static_cast<int>(bits) - static_cast<int>(8 * i), 0, 8);
        bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
    }
    return IpAddress::from_v6_bytes(bytes);
}

// Precondition: is_v4().
inline IpAddress broadcast_of(const IpAddress& address, unsigned prefix_length) {
    uint32_t host = prefix_length >= 32 ? 0 : 0xffffffff >> prefix_length;
    return IpAddress::v4(address.v4_host_order() | host);
}

}  // namespace coracle::net
