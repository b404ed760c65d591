#include "libposix/net/transmit_steering.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#include "libposix/net/checksum.h"

namespace coracle::net {

namespace {

constexpr size_t kEthernetHeader = 14, kIpv4Header = 20, kIpv6Header = 40;

uint32_t mix(uint32_t hash, const uint8_t* words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t word;
        memcpy(&word, words + i * sizeof(word), sizeof(word));
        hash = (hash ^ word) * 0x9e3779b1u;
        hash ^= hash >> 15;
    }
    return hash;
}

bool has_ports(uint8_t protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

}  // namespace

uint32_t flow_hash(const Buffer& frame) {
    const uint8_t* data = frame.data();
    const size_t length = frame.length();
    if (length < kEthernetHeader + kIpv4Header) return 0;
    const uint16_t protocol = read_be16(data + 12);
    const uint8_t* ip = data + kEthernetHeader;
    size_t transport = 0;  // from `data`; 0: without ports
    uint32_t hash = protocol;
    if (protocol == ETHERTYPE_IP) {
        hash = mix(hash ^ ip[9], ip + 12, 2);
        constexpr uint16_t kOffsetOrMore = 0x3fff;
        const bool is_fragment = read_be16(ip + 6) & kOffsetOrMore;
        if (has_ports(ip[9]) && !is_fragment) transport = kEthernetHeader + ip[0] % 16 * 4u;
    } else if (protocol == ETHERTYPE_IPV6 && length >= kEthernetHeader + kIpv6Header) {
        hash = mix(hash ^ ip[6], ip + 8, 8);
        if (has_ports(ip[6])) transport = kEthernetHeader + kIpv6Header;
    }
    if (transport && transport + 4 <= length) hash = mix(hash, data + transport, 1);
    return hash;
}

}  // namespace coracle::net
