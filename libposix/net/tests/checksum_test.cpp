// The Internet checksum (RFC 1071), over chains as over plain bytes.
#include "libposix/net/checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace coracle::net {
namespace {

// Word by word, as RFC 1071, 4.1 has it.
uint16_t plain_sum(const std::vector<uint8_t>& bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size(); i += 2) {
        sum += bytes[i] | (i + 1 < bytes.size() ? bytes[i + 1] << 8 : 0);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return static_cast<uint16_t>(sum);
}

// One's complement has two zeros.
uint16_t normal(uint16_t sum) {
    return sum == 0xffff ? 0 : sum;
}

TEST(Rfc1071Section3, Example) {
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    EXPECT_EQ(checksum_fold(checksum_add(bytes, sizeof(bytes), 0)), 0xf2dd);  // ddf2 as it lies
}

TEST(Rfc1071Section2, AnyLengthAndAnyCutGiveTheSameSum) {
    std::mt19937 random(1);
    for (int round = 0; round < 3000; round++) {
        std::vector<uint8_t> bytes(random() % 300);
        for (auto& byte : bytes) byte = random() % 3 ? random() : 0xff;
        uint16_t expected = normal(plain_sum(bytes));
        EXPECT_EQ(normal(checksum_fold(checksum_add(bytes.data(), bytes.size(), 0))), expected);
        BufferPtr first = Buffer::allocate(400);
        Buffer* last = first.get();
        size_t offset = random() % 5;
        last->append(offset);
        for (size_t at = 0; at < bytes.size();) {
            size_t piece = std::min<size_t>(random() % 60, bytes.size() - at);
            memcpy(last->append(piece), &bytes[at], piece);
            at += piece;
            last->set_next(Buffer::allocate(100));
            last = last->next();
        }
        EXPECT_EQ(normal(checksum_fold(checksum_add_chain(*first, offset, bytes.size(), 0))),
                  expected);
    }
    drain_buffer_pools();
}

TEST(Rfc768, PartialChecksumIsCompletedAndHolds) {
    IpAddress source = IpAddress::v4(10, 0, 2, 15), destination = IpAddress::v4(10, 0, 2, 2);
    for (size_t payload = 0; payload < 64; payload++) {
        BufferPtr packet = Buffer::allocate(200, 60);
        auto length = static_cast<uint32_t>(8 + payload);
        memset(packet->append(length), 0xa5, length);
        uint16_t partial = checksum_fold(pseudo_header_sum(source, destination, 17, length));
        memcpy(packet->data() + 6, &partial, 2);
        packet->info.checksum = ChecksumState::kPartial;
        packet->info.checksum_offset = 6;
        complete_checksum(*packet);
        EXPECT_EQ(packet->info.checksum, ChecksumState::kUnknown);
        EXPECT_TRUE(transport_checksum_holds(*packet, source, destination, 17));
        packet->data()[3] ^= 1;
        EXPECT_FALSE(transport_checksum_holds(*packet, source, destination, 17));
    }
    drain_buffer_pools();
}

TEST(Rfc8200Section8_1, PseudoHeaderOfIpv6) {
    uint8_t header[40] = {};
    IpAddress source = IpAddress::loopback_v6();
    memcpy(header, source.v6_bytes(), 16);
    memcpy(header + 16, source.v6_bytes(), 16);
    write_be32(header + 32, 0x12345);
    header[39] = 58;
    EXPECT_EQ(checksum_fold(checksum_add(header, sizeof(header), 0)),
              checksum_fold(pseudo_header_sum(source, source, 58, 0x12345)));
}

}  // namespace
}  // namespace coracle::net
