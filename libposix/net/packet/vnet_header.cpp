#include "libposix/net/packet/vnet_header.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/checksum.h"
#include "libposix/net/link/ethernet.h"

namespace coracle::net {

namespace {

constexpr size_t kIpv4Header = 20, kIpv6Header = 40, kUdpHeader = 8, kTcpHeader = 20;
constexpr size_t kTcpDataOffset = 12, kTcpChecksum = 16, kUdpChecksum = 6;

uint8_t gso_of(const PacketInfo& info) {
    if (info.segment_size == 0) return kGsoNone;
    const uint8_t ecn = info.congestion_window_reduced ? kGsoEcn : 0;
    switch (info.segmentation) {
        case SegmentationType::kTcpV4:
            return kGsoTcpV4 | ecn;
        case SegmentationType::kTcpV6:
            return kGsoTcpV6 | ecn;
        case SegmentationType::kUdp:
            return kGsoUdpL4;
        case SegmentationType::kNone:
            break;
    }
    return kGsoNone;
}

// The headers of a frame that is to be cut lie in one piece, where the header says. Returns where
// the payload begins, or 0.
size_t payload_offset(const Buffer& frame, SegmentationType type, size_t transport) {
    const size_t length = frame.length();
    if (length < kEthernetHeaderSize + kIpv4Header) return 0;
    const uint8_t* ip = frame.data() + kEthernetHeaderSize;
    const uint16_t protocol = read_be16(frame.data() + 12);
    const uint8_t wanted = type == SegmentationType::kUdp ? IPPROTO_UDP : IPPROTO_TCP;
    size_t ip_header = 0;
    if (protocol == ETHERTYPE_IP && ip[0] >> 4 == 4 && type != SegmentationType::kTcpV6) {
        ip_header = ip[0] % 16 * size_t{4};
        if (ip_header < kIpv4Header || ip[9] != wanted) return 0;
    } else if (protocol == ETHERTYPE_IPV6 && ip[0] >> 4 == 6 && type != SegmentationType::kTcpV4) {
        ip_header = kIpv6Header;
        if (ip[6] != wanted) return 0;
    }
    if (ip_header == 0 || transport != kEthernetHeaderSize + ip_header) return 0;
    if (type == SegmentationType::kUdp) return transport + kUdpHeader;
    if (transport + kTcpHeader > length) return 0;
    const size_t tcp_header = frame.data()[transport + kTcpDataOffset] / 16 * size_t{4};
    return tcp_header < kTcpHeader ? 0 : transport + tcp_header;
}

}  // namespace

VnetHeader vnet_header_of(const Buffer& frame) {
    const PacketInfo& info = frame.info;
    VnetHeader header{};
    header.gso_type = gso_of(info);
    if (header.gso_type != kGsoNone) {
        header.gso_size = info.segment_size;
        header.header_length = static_cast<uint16_t>(std::min(frame.length(), 0xffffu));
    }
    if (info.checksum == ChecksumState::kPartial) {
        header.flags = kVnetNeedsChecksum;
        header.checksum_start = info.checksum_start;
        header.checksum_offset = info.checksum_offset;
    } else if (info.checksum == ChecksumState::kVerified) {
        header.flags = kVnetDataValid;
    }
    return header;
}

Result<void> apply_vnet_header(const VnetHeader& header, Buffer& frame) {
    PacketInfo& info = frame.info;
    if (header.flags & kVnetNeedsChecksum) {
        if (header.checksum_start + header.checksum_offset + 2u > frame.length())
            return Error(EINVAL);
        info.checksum = ChecksumState::kPartial;
        info.checksum_start = header.checksum_start;
        info.checksum_offset = header.checksum_offset;
    }
    switch (header.gso_type & ~kGsoEcn) {
        case kGsoNone:
            return {};
        case kGsoTcpV4:
            info.segmentation = SegmentationType::kTcpV4;
            break;
        case kGsoTcpV6:
            info.segmentation = SegmentationType::kTcpV6;
            break;
        case kGsoUdpL4:
            info.segmentation = SegmentationType::kUdp;
            break;
        default:
            return Error(EINVAL);
    }
    const size_t field = info.segmentation == SegmentationType::kUdp ? kUdpChecksum : kTcpChecksum;
    const size_t payload = payload_offset(frame, info.segmentation, info.checksum_start);
    if (header.gso_size == 0 || info.checksum != ChecksumState::kPartial ||
        info.checksum_offset != field || payload == 0 || payload > frame.length()) {
        return Error(EINVAL);
    }
    info.segment_size = header.gso_size;
    info.congestion_window_reduced = header.gso_type & kGsoEcn;
    return {};
}

}  // namespace coracle::net
