#include "libposix/net/udp/udp_lite.h"

#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/checksum.h"
#include "libposix/net/udp/udp_header.h"

namespace coracle::net {

namespace {

// Of the pseudo-header, with the whole length, and the bytes that are covered.
uint64_t lite_sum(const Buffer& packet, const IpAddress& source, const IpAddress& destination,
                  uint32_t length, uint32_t covered) {
    const uint64_t sum = pseudo_header_sum(source, destination, IPPROTO_UDPLITE, length);
    return checksum_add_chain(packet, 0, covered, sum);
}

}  // namespace

uint16_t LiteCoverage::from_option(int value) {
    if (value == 0) return 0;
    return static_cast<uint16_t>(std::clamp<int>(value, kUdpHeaderSize, UINT16_MAX));
}

bool LiteCoverage::accepts(uint32_t covered, uint32_t length) const {
    if (!least_of_receives || covered == length) return true;
    return *least_of_receives != 0 && covered >= *least_of_receives;
}

std::optional<uint32_t> checked_lite_coverage(const Buffer& packet, const IpInput& how) {
    const auto length = static_cast<uint32_t>(packet.chain_length());
    const uint8_t* header = packet.data();
    uint32_t covered = read_be16(header + udp::kLength);
    if (covered == 0) covered = length;
    const bool has_checksum = read_be16(header + udp::kChecksum) != 0;
    if (covered < kUdpHeaderSize || covered > length || !has_checksum) return std::nullopt;
    const uint64_t sum = lite_sum(packet, how.source, how.destination, length, covered);
    if (checksum_fold(sum) != 0xffff) return std::nullopt;
    return covered;
}

void complete_lite_header(Buffer& packet, const IpAddress& source, const IpAddress& destination,
                          const LiteCoverage& wanted) {
    const auto length = static_cast<uint32_t>(packet.chain_length());
    uint8_t* header = packet.data();
    uint32_t field = length;
    if (wanted.of_sends && *wanted.of_sends < length) field = *wanted.of_sends;
    write_be16(header + udp::kLength, static_cast<uint16_t>(field));
    memset(header + udp::kChecksum, 0, 2);
    const uint32_t covered = field ? field : length;
    auto sum = static_cast<uint16_t>(
        ~checksum_fold(lite_sum(packet, source, destination, length, covered)));
    if (sum == 0) sum = 0xffff;
    memcpy(header + udp::kChecksum, &sum, 2);
}

}  // namespace coracle::net
