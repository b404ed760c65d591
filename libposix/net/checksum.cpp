#include "libposix/net/checksum.h"

#include <algorithm>

namespace coracle::net {

namespace {

uint64_t add_carry(uint64_t sum, uint64_t value) {
    uint64_t total;
    return __builtin_add_overflow(sum, value, &total) ? total + 1 : total;
}

}  // namespace

uint64_t checksum_add(const void* bytes, size_t size, uint64_t sum) {
    const auto* at = static_cast<const uint8_t*>(bytes);
    // Carries of 64-bit words fold to the same sum as those of 16-bit ones (RFC 1071, 2(C)).
    struct __attribute__((packed, may_alias)) Word {
        uint64_t value;
    };
    while (size >= 32) {
        const auto* words = reinterpret_cast<const Word*>(at);
        asm("addq %1, %0\n\tadcq %2, %0\n\tadcq %3, %0\n\tadcq %4, %0\n\tadcq $0, %0"
            : "+r"(sum)
            : "m"(words[0]), "m"(words[1]), "m"(words[2]), "m"(words[3])
            : "cc");
        at += 32;
        size -= 32;
    }
    while (size >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum = add_carry(sum, word);
        at += 8;
        size -= 8;
    }
    // The rest, in at most three pieces; words of fewer bytes are as they lie in memory.
    uint64_t rest = 0;
    if (size & 4) {
        uint32_t piece;
        memcpy(&piece, at, 4);
        rest = piece;
        at += 4;
    }
    if (size & 2) {
        uint16_t piece;
        memcpy(&piece, at, 2);
        rest += piece;
        at += 2;
    }
    if (size & 1) rest += *at;
    return add_carry(sum, rest);
}

uint64_t checksum_add_chain(const Buffer& packet, size_t offset, size_t size, uint64_t sum) {
    bool odd = false;
    for (const Buffer* buffer = &packet; buffer && size > 0; buffer = buffer->next()) {
        if (offset >= buffer->length()) {
            offset -= buffer->length();
            continue;
        }
        size_t piece = std::min<size_t>(size, buffer->length() - offset);
        uint64_t part = checksum_fold(checksum_add(buffer->data() + offset, piece, 0));
        // A piece that begins with the second byte of a word has its bytes the other way round.
        if (odd) part = (part & 0xff) << 8 | part >> 8;
        sum = add_carry(sum, part);
        odd = odd != (piece % 2 != 0);
        size -= piece;
        offset = 0;
    }
    return sum;
}

uint64_t pseudo_header_sum(const IpAddress& source, const IpAddress& destination, uint8_t protocol,
                           uint32_t length) {
    uint64_t sum = uint64_t{__builtin_bswap32(length)} + __builtin_bswap32(protocol);
    if (source.is_v4()) {
        sum = checksum_add(source.v4_bytes(), 4, sum);
        return checksum_add(destination.v4_bytes(), 4, sum);
    }
    sum = checksum_add(source.v6_bytes(), 16, sum);
    return checksum_add(destination.v6_bytes(), 16, sum);
}

bool transport_checksum_holds(const Buffer& packet, const IpAddress& source,
                              const IpAddress& destination, uint8_t protocol) {
    if (packet.info.checksum != ChecksumState::kUnknown) return true;
    auto length = static_cast<uint32_t>(packet.chain_length());
    uint64_t sum = pseudo_header_sum(source, destination, protocol, length);
    return checksum_fold(checksum_add_chain(packet, 0, length, sum)) == 0xffff;
}

void complete_checksum(Buffer& packet) {
    if (packet.info.checksum != ChecksumState::kPartial) return;
    size_t start = packet.info.checksum_start;
    size_t field = start + packet.info.checksum_offset;
    ASSERT(field + 2 <= packet.length());
    // The field's own content is the pseudo-header's sum, so the sum over all is the whole one.
    uint64_t sum = checksum_add_chain(packet, start, packet.chain_length() - start, 0);
    auto value = static_cast<uint16_t>(~checksum_fold(sum));
    // Zero means "none" in UDP (RFC 768) and is the same number as 0xffff in one's complement.
    if (value == 0) value = 0xffff;
    memcpy(packet.data() + field, &value, 2);
    packet.info.checksum = ChecksumState::kUnknown;
}

}  // namespace coracle::net
