// Cutting large packets for the wire, joining what comes in, and what a device offloads.
#include "libposix/net/gro.h"
#include "libposix/net/segmentation.h"
#include "libposix/net/tests/stack_test.h"

namespace coracle::net {
namespace {

class OffloadTest : public StackTest {
  protected:
    static Bytes tcp(uint32_t sequence, uint8_t flags, const Bytes& payload, uint32_t ack = 9) {
        return be16(1000) + be16(80) + be32(sequence) + be32(ack) + Bytes{0x80, flags} +
               be16(5000) + be16(0) + be16(0) + Bytes{1, 1, 8, 10} + be32(1) + be32(2) + payload;
    }
    Bytes tcp_frame(uint32_t sequence, uint8_t flags, const Bytes& payload, uint32_t ack = 9) {
        Bytes segment = tcp(sequence, flags, payload, ack);
        uint64_t pseudo = pseudo_header_sum(peer, ours, IPPROTO_TCP, segment.size());
        uint16_t sum = checksum_of(segment.data(), segment.size(), pseudo);
        memcpy(&segment[16], &sum, 2);
        return from_peer(0x0800) + ipv4(peer, ours, IPPROTO_TCP, segment);
    }

    void feed(ReceiveOffload& offload, const Bytes& frame) {
        BufferPtr buffer = Buffer::allocate(frame.size());
        memcpy(buffer->append(frame.size()), frame.data(), frame.size());
        offload.receive(std::move(buffer));
    }
    struct Delivered {
        Bytes bytes;
        uint16_t segment_size;
    };
    static inline std::deque<Delivered> delivered;
    static void deliver(BufferPtr frame, Interface&) {
        delivered.push_back({contents(*frame), frame->info.segment_size});
    }
    void SetUp() override { delivered.clear(); }
};

TEST_F(OffloadTest, SegmentsOfAFlowBecomeOne) {
    ReceiveOffload offload(eth, deliver);
    for (uint32_t i = 0; i < 4; i++) feed(offload, tcp_frame(100 + 50 * i, 0x10, pattern(50, i)));
    feed(offload, tcp_frame(300, 0x18, pattern(20, 9)));
    EXPECT_TRUE(delivered.empty());
    offload.flush();
    ASSERT_EQ(delivered.size(), 1u);
    EXPECT_EQ(delivered[0].segment_size, 50);
    constexpr size_t kHeaders = 14 + 20 + 32;
    ASSERT_EQ(delivered[0].bytes.size(), kHeaders + 220);
    EXPECT_EQ(delivered[0].bytes[14 + 20 + 13], 0x18) << "the last one's PSH";
    EXPECT_EQ(slice(delivered[0].bytes, kHeaders + 150, 50), pattern(50, 3));
}

TEST_F(OffloadTest, NothingIsJoinedThatDiffers) {
    struct Case {
        const char* what;
        Bytes second;
    };
    Bytes damaged = tcp_frame(150, 0x10, pattern(50));
    damaged.back() ^= 1;
    for (const Case& one :
         {Case{"a gap", tcp_frame(151, 0x10, pattern(50))},
          Case{"another acknowledgment", tcp_frame(150, 0x10, pattern(50), 10)},
          Case{"FIN", tcp_frame(150, 0x11, pattern(50))},
          Case{"longer", tcp_frame(150, 0x10, pattern(51))},
          Case{"no payload", tcp_frame(150, 0x10, {})}, Case{"a bad checksum", damaged}}) {
        delivered.clear();
        ReceiveOffload offload(eth, deliver);
        feed(offload, tcp_frame(100, 0x10, pattern(50)));
        feed(offload, one.second);
        offload.flush();
        ASSERT_EQ(delivered.size(), 2u) << one.what;
        EXPECT_EQ(delivered[0].segment_size, 0) << one.what;
        EXPECT_EQ(delivered[1].bytes, one.second) << one.what << ": in order, as it came";
    }
}

TEST_F(OffloadTest, LargeSegmentsAreCutInSoftware) {
    introduce_peer();
    Bytes payload = pattern(3500);
    Bytes segment = tcp(0xfffffff0, 0x19 | 0x80, payload);
    uint16_t pseudo = checksum_fold(pseudo_header_sum(ours, peer, IPPROTO_TCP, segment.size()));
    memcpy(&segment[16], &pseudo, 2);
    BufferPtr packet = Buffer::allocate(kLargeBufferCapacity, kPacketHeadroom);
    memcpy(packet->append(segment.size()), segment.data(), segment.size());
    packet->info.checksum = ChecksumState::kPartial;
    packet->info.checksum_offset = 16;
    packet->info.segment_size = 1448;
    packet->info.segmentation = SegmentationType::kTcpV4;
    {
        NetworkScope scope;
        ASSERT_TRUE(
            ip_output(std::move(packet), {.destination = peer, .protocol = IPPROTO_TCP}).ok());
    }
    ASSERT_EQ(eth.sent.size(), 3u);
    Bytes whole;
    for (uint32_t i = 0; i < 3; i++) {
        Bytes piece = take_sent();
        ASSERT_GE(piece.size(), 52u);
        EXPECT_LE(piece.size(), 1500u);
        EXPECT_EQ(read_be16(&piece[2]), piece.size());
        EXPECT_EQ(checksum_of(piece.data(), 20), 0);
        EXPECT_EQ(read_be32(&piece[24]), 0xfffffff0 + 1448 * i) << "and it wraps";
        EXPECT_EQ(piece[33], i == 0 ? 0x90 : i == 2 ? 0x19 : 0x10) << "CWR first, FIN and PSH last";
        uint64_t sum = pseudo_header_sum(ours, peer, IPPROTO_TCP, piece.size() - 20);
        EXPECT_EQ(checksum_of(&piece[20], piece.size() - 20, sum), 0);
        whole = whole + slice(piece, 52, 9999);
    }
    EXPECT_EQ(whole, payload);
}

TEST_F(OffloadTest, TheDeviceDoesWhatItOffers) {
    introduce_peer();
    eth.offloads = {.checksum = true, .tso_v4 = true};
    Bytes segment = tcp(1, 0x10, pattern(3000));
    BufferPtr packet = Buffer::allocate(kLargeBufferCapacity, kPacketHeadroom);
    memcpy(packet->append(segment.size()), segment.data(), segment.size());
    packet->info.checksum = ChecksumState::kPartial;
    packet->info.checksum_offset = 16;
    packet->info.segment_size = 1448;
    packet->info.segmentation = SegmentationType::kTcpV4;
    NetworkScope scope;
    ASSERT_TRUE(ip_output(std::move(packet), {.destination = peer, .protocol = IPPROTO_TCP}).ok());
    ASSERT_EQ(eth.sent.size(), 1u);
    EXPECT_EQ(slice(take_sent(), 20, 99999), segment) << "untouched, checksum and all";
    eth.offloads = {};
}

}  // namespace
}  // namespace coracle::net
