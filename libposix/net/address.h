// Addresses of IPv4 and IPv6 in one type, endpoints, and the key of a flow with its hash.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

namespace coracle::net {

// Big-endian values as they lie in headers, at any alignment.
inline uint16_t read_be16(const uint8_t* from) {
    return static_cast<uint16_t>(from[0] << 8 | from[1]);
}
inline uint32_t read_be32(const uint8_t* from) {
    uint32_t value;
    memcpy(&value, from, 4);
    return __builtin_bswap32(value);
}
inline void write_be16(uint8_t* to, uint16_t value) {
    value = __builtin_bswap16(value);
    memcpy(to, &value, 2);
}
inline void write_be32(uint8_t* to, uint32_t value) {
    value = __builtin_bswap32(value);
    memcpy(to, &value, 4);
}

// 16 bytes in network order; an IPv4 address is held as the IPv4-mapped one (::ffff:a.b.c.d,
// RFC 4291, 2.5.5.2), so that both families share one table of flows, and a dual-stack socket needs
// no conversion. The default is `::`; any_v4() is the other wildcard.
class IpAddress {
  public:
    constexpr IpAddress() = default;
    static constexpr IpAddress v4(uint32_t host_order) {
        IpAddress address;
        address.bytes_[10] = address.bytes_[11] = 0xff;
        for (int i = 0; i < 4; i++) {
            address.bytes_[12 + i] = static_cast<uint8_t>(host_order >> (24 - 8 * i));
        }
        return address;
    }
    static constexpr IpAddress v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
        return v4(uint32_t{a} << 24 | uint32_t{b} << 16 | uint32_t{c} << 8 | d);
    }
    // From the bytes of a header or of a socket address.
    static IpAddress from_v4_bytes(const void* bytes) {
        IpAddress address;
        address.bytes_[10] = address.bytes_[11] = 0xff;
        memcpy(&address.bytes_[12], bytes, 4);
        return address;
    }
    static IpAddress from_v6_bytes(const void* bytes) {
        IpAddress address;
        memcpy(address.bytes_.data(), bytes, 16);
        return address;
    }
    static constexpr IpAddress any_v4() { return v4(0u); }
    static constexpr IpAddress any_v6() { return IpAddress(); }
    static constexpr IpAddress loopback_v4() { return v4(127, 0, 0, 1); }
    static constexpr IpAddress loopback_v6() {
        IpAddress address;
        address.bytes_[15] = 1;
        return address;
    }

    bool is_v4() const { return high() == 0 && low_words()[0] == kMappedWord; }
    bool is_v6() const { return !is_v4(); }
    // Precondition: is_v4().
    uint32_t v4_host_order() const { return read_be32(&bytes_[12]); }
    const uint8_t* v4_bytes() const { return &bytes_[12]; }
    const uint8_t* v6_bytes() const { return bytes_.data(); }

    // The wildcard of either family.
    bool is_any() const {
        return high() == 0 && low_words()[1] == 0 &&
               (low_words()[0] == 0 || low_words()[0] == kMappedWord);
    }
    bool is_loopback() const { return is_v4() ? bytes_[12] == 127 : *this == loopback_v6(); }
    bool is_multicast() const { return is_v4() ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }
    bool is_limited_broadcast() const { return is_v4() && low_words()[1] == 0xffffffff; }
    bool is_link_local() const {
        return is_v4() ? bytes_[12] == 169 && bytes_[13] == 254
                       : bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
    }

    uint64_t high() const { return word(0); }
    uint64_t low() const { return word(8); }
    bool operator==(const IpAddress& other) const {
        return high() == other.high() && low() == other.low();
    }

  private:
    static constexpr uint32_t kMappedWord = 0xffff0000;  // 0, 0, ff, ff as a little-endian word
    uint64_t word(size_t at) const {
        uint64_t value;
        memcpy(&value, &bytes_[at], 8);
        return value;
    }
    std::array<uint32_t, 2> low_words() const {
        return std::bit_cast<std::array<uint32_t, 2>>(low());
    }
    alignas(8) std::array<uint8_t, 16> bytes_{};
};

struct Endpoint {
    IpAddress address;
    uint16_t port = 0;   // host order
    uint32_t scope = 0;  // interface index of a link-local IPv6 address, else 0
    bool operator==(const Endpoint&) const = default;
};

// A connection as this host sees it.
struct FlowKey {
    Endpoint local;
    Endpoint remote;
    bool operator==(const FlowKey& other) const {
        return remote.port == other.remote.port && local.port == other.local.port &&
               remote.address == other.remote.address && local.address == other.local.address;
    }
};

// 64 bits from 128 by multiplication (the fold of wyhash).
inline uint64_t mix_words(uint64_t a, uint64_t b) {
    auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// `secret` is random and fixed for the machine's life, so that nobody outside can choose flows that
// collide.
inline uint64_t hash_flow(const FlowKey& key, uint64_t secret) {
    uint64_t ports = uint64_t{key.local.port} << 16 | key.remote.port;
    uint64_t local =
        mix_words(key.local.address.low() ^ secret, key.local.address.high() ^ 0x9e3779b97f4a7c15);
    uint64_t remote = mix_words(key.remote.address.low() ^ ports << 17 ^ ~secret,
                                key.remote.address.high() ^ 0xd6e8feb86659fd93);
    return mix_words(local ^ ports ^ 0xa0761d6478bd642f, remote ^ secret);
}

}  // namespace coracle::net
