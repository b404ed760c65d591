// The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit
// words. Sums are kept in the machine's byte order over the bytes as they lie (RFC 1071, 2(B)), so
// nothing is swapped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libposix/net/address.h"
#include "libposix/net/buffer.h"

namespace coracle::net {

// Adds the bytes to a sum. The first byte is the first of a word.
uint64_t checksum_add(const void* bytes, size_t size, uint64_t sum);

constexpr uint16_t checksum_fold(uint64_t sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(sum);
}

// What goes into the field, with memcpy: as it lies in the packet.
inline uint16_t checksum_of(const void* bytes, size_t size, uint64_t sum = 0) {
    return static_cast<uint16_t>(~checksum_fold(checksum_add(bytes, size, sum)));
}

// Adds `size` bytes of the chain from `offset` of its first buffer's data().
uint64_t checksum_add_chain(const Buffer& packet, size_t offset, size_t size, uint64_t sum);

// The pseudo-header's sum (RFC 9293, 3.1; RFC 8200, 8.1). `length`: of the transport header and
// what follows it. Both addresses are of one family.
uint64_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, uint8_t protocol,
                           uint32_t length);

// Whether the transport checksum of a packet that came in holds. `packet` starts at the transport
// header and has nothing behind its payload. Looks at info.checksum first.
bool transport_checksum_holds(const Buffer& packet, const IpAddress& source,
                              const IpAddress& destination, uint8_t protocol);

// Completes a packet whose checksum is kPartial, where the device cannot.
void complete_checksum(Buffer& packet);

}  // namespace coracle::net
