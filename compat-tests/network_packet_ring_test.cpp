// The rings that packet sockets share with the program (Documentation/networking/packet_mmap.rst).
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <memory>

#include "network_packet_support.h"

namespace {

constexpr unsigned kBlockSize = 8192, kBlocks = 2, kFrameSize = 2048, kFrames = 8;

struct Unmap {
    size_t size;
    void operator()(char* at) const { munmap(at, size); }
};

// A socket with rings, and their memory.
class Rings {
  public:
    explicit Rings(int type, int version, uint16_t protocol = kOurProtocol)
        : fd(socket(AF_PACKET, type, 0)), version_(version), protocol_(protocol) {
        EXPECT_OK(set_option(fd, PACKET_VERSION, version, SOL_PACKET));
    }

    int add(int option, unsigned blocks = kBlocks, unsigned timeout_ms = 0) {
        tpacket_req3 request = {};
        request.tp_block_size = kBlockSize;
        request.tp_block_nr = blocks;
        request.tp_frame_size = kFrameSize;
        request.tp_frame_nr = blocks * (kBlockSize / kFrameSize);
        request.tp_retire_blk_tov = timeout_ms;
        const int result =
            setsockopt(fd, SOL_PACKET, option, &request,
                       version_ == TPACKET_V3 ? sizeof(tpacket_req3) : sizeof(tpacket_req));
        if (result == 0) size_ += size_t{blocks} * kBlockSize;
        return result;
    }
    void map() {
        void* at = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ASSERT_NE(at, MAP_FAILED) << strerror(errno);
        memory_ = {static_cast<char*>(at), Unmap{size_}};
        const sockaddr_ll address = link_address(protocol_);
        ASSERT_OK(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)));
    }
    void unmap() { memory_.reset(); }
    size_t size() const { return size_; }
    char* frame(unsigned index) const { return memory_.get() + size_t{index} * kFrameSize; }
    char* block(unsigned index) const { return memory_.get() + size_t{index} * kBlockSize; }

    Descriptor fd;

  private:
    int version_;
    uint16_t protocol_;
    size_t size_ = 0;
    std::unique_ptr<char, Unmap> memory_{nullptr, Unmap{0}};
};

template <typename Word>
Word look(Word& word) {
    return std::atomic_ref(word).load(std::memory_order_acquire);
}
// What says so of time stamps depends on the machine.
constexpr unsigned kOurStatus =
    ~(unsigned{TP_STATUS_TS_SOFTWARE} | TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY);

// A frame of versions 1 and 2, as version 2.
struct Frame {
    unsigned status, length, kept, link, network;
    std::string bytes;
    sockaddr_ll from;
};
template <typename Header>
Frame read_frame(char* at) {
    auto& header = *reinterpret_cast<Header*>(at);
    Frame frame{static_cast<unsigned>(look(header.tp_status)) & kOurStatus,
                header.tp_len,
                header.tp_snaplen,
                header.tp_mac,
                header.tp_net,
                std::string(at + header.tp_mac, header.tp_snaplen),
                {}};
    memcpy(&frame.from, at + TPACKET_ALIGN(sizeof(Header)), sizeof(frame.from));
    return frame;
}
template <typename Header>
void give_back(char* at, unsigned status = TP_STATUS_KERNEL) {
    std::atomic_ref(reinterpret_cast<Header*>(at)->tp_status).store(status);
}
template <typename Header>
unsigned status_of(char* at) {
    return static_cast<unsigned>(look(reinterpret_cast<Header*>(at)->tp_status)) & kOurStatus;
}

class PacketRingTest : public PacketTest {};

TEST_F(PacketRingTest, OptionsHaveLinuxDefaults) {
    Descriptor fd(socket(AF_PACKET, SOCK_RAW, 0));
    for (int option : {PACKET_AUXDATA, PACKET_ORIGDEV, PACKET_VERSION, PACKET_RESERVE, PACKET_LOSS,
                       PACKET_VNET_HDR, PACKET_TIMESTAMP, PACKET_FANOUT, PACKET_TX_HAS_OFF,
                       PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING}) {
        EXPECT_EQ(get_option(fd, option, SOL_PACKET), 0) << option;
    }
    for (int option : {PACKET_AUXDATA, PACKET_ORIGDEV, PACKET_LOSS, PACKET_VNET_HDR,
                       PACKET_TX_HAS_OFF, PACKET_QDISC_BYPASS}) {
        EXPECT_OK(set_option(fd, option, 7, SOL_PACKET)) << option;
        EXPECT_EQ(get_option(fd, option, SOL_PACKET), 1) << option;
    }
    EXPECT_OK(set_option(fd, PACKET_TIMESTAMP, 16, SOL_PACKET));
    EXPECT_EQ(get_option(fd, PACKET_TIMESTAMP, SOL_PACKET), 16);
    EXPECT_OK(set_option(fd, PACKET_COPY_THRESH, 1, SOL_PACKET));
    int value = 0;
    socklen_t length = sizeof(value);
    for (int option : {PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP, PACKET_RX_RING,
                       PACKET_TX_RING, PACKET_FANOUT_DATA}) {
        EXPECT_ERRNO(getsockopt(fd, SOL_PACKET, option, &value, &length), ENOPROTOOPT);
    }
    EXPECT_ERRNO(getsockopt(fd, SOL_PACKET, PACKET_ROLLOVER_STATS, &value, &length), EINVAL);
    EXPECT_ERRNO(set_option(fd, PACKET_STATISTICS, 0, SOL_PACKET), ENOPROTOOPT);
    Descriptor datagrams(socket(AF_PACKET, SOCK_DGRAM, 0));
    EXPECT_ERRNO(set_option(datagrams, PACKET_VNET_HDR, 1, SOL_PACKET), EINVAL);
    const short small = 1;
    for (int option : {PACKET_COPY_THRESH, PACKET_VERSION, PACKET_RESERVE, PACKET_LOSS,
                       PACKET_AUXDATA, PACKET_ORIGDEV, PACKET_VNET_HDR, PACKET_TIMESTAMP,
                       PACKET_FANOUT, PACKET_TX_HAS_OFF, PACKET_QDISC_BYPASS}) {
        EXPECT_ERRNO(set_option(fd, option, small, SOL_PACKET), EINVAL);
    }
}

TEST_F(PacketRingTest, HeaderLengths) {
    Descriptor fd(socket(AF_PACKET, SOCK_RAW, 0));
    const size_t sizes[] = {sizeof(tpacket_hdr), sizeof(tpacket2_hdr), sizeof(tpacket3_hdr)};
    for (int version = 0; version < 3; version++) {
        int value = version;
        socklen_t length = sizeof(value);
        EXPECT_OK(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &value, &length));
        EXPECT_EQ(static_cast<size_t>(value), sizes[version]);
    }
    int value = 3;
    socklen_t length = sizeof(value);
    EXPECT_ERRNO(getsockopt(fd, SOL_PACKET, PACKET_HDRLEN, &value, &length), EINVAL);
}

TEST_F(PacketRingTest, MapsAllOfItOrNothing) {
    Rings rings(SOCK_RAW, TPACKET_V2);
    auto try_map = [&](size_t size, off_t offset = 0) {
        void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, rings.fd, offset);
        return reinterpret_cast<intptr_t>(at);
    };
    EXPECT_ERRNO(try_map(kBlockSize), EINVAL);
    ASSERT_OK(rings.add(PACKET_RX_RING));
    ASSERT_OK(rings.add(PACKET_TX_RING, 1));
    const size_t all = rings.size();
    EXPECT_ERRNO(try_map(all - 4096), EINVAL);
    EXPECT_ERRNO(try_map(all + 4096), EINVAL);
    EXPECT_ERRNO(try_map(kBlocks * kBlockSize), EINVAL);
    EXPECT_ERRNO(try_map(all - 4096, 4096), EINVAL);
    EXPECT_ERRNO(try_map(all, 4096), EINVAL);
    rings.map();
    EXPECT_ERRNO(set_option(rings.fd, PACKET_VERSION, TPACKET_V1, SOL_PACKET), EBUSY);
    EXPECT_ERRNO(set_option(rings.fd, PACKET_RESERVE, 8, SOL_PACKET), EBUSY);
    EXPECT_ERRNO(set_option(rings.fd, PACKET_LOSS, 1, SOL_PACKET), EBUSY);
    EXPECT_ERRNO(set_option(rings.fd, PACKET_VNET_HDR, 1, SOL_PACKET), EBUSY);
    EXPECT_OK(set_option(rings.fd, PACKET_TX_HAS_OFF, 1, SOL_PACKET));
    EXPECT_EQ(get_option(rings.fd, PACKET_TX_HAS_OFF, SOL_PACKET), 0) << "it has no effect now";
    EXPECT_ERRNO(rings.add(PACKET_RX_RING, 0), EBUSY);
    rings.unmap();
    EXPECT_ERRNO(rings.add(PACKET_RX_RING), EBUSY);
    EXPECT_OK(rings.add(PACKET_RX_RING, 0));
    EXPECT_ERRNO(try_map(all), EINVAL);
    const intptr_t rest = try_map(kBlockSize);
    ASSERT_NE(rest, -1);
    EXPECT_OK(munmap(reinterpret_cast<void*>(rest), kBlockSize));
}

TEST_F(PacketRingTest, RequestsAreChecked) {
    Rings rings(SOCK_RAW, TPACKET_V2);
    const tpacket_req good = {kBlockSize, kBlocks, kFrameSize, kFrames};
    auto request = [&](auto change) {
        tpacket_req changed = good;
        change(changed);
        return setsockopt(rings.fd, SOL_PACKET, PACKET_RX_RING, &changed, sizeof(changed));
    };
    EXPECT_ERRNO(request([](auto& r) { r.tp_block_size = 0; }), EINVAL);
    EXPECT_ERRNO(request([](auto& r) { r.tp_block_size += 16; }), EINVAL);
    EXPECT_ERRNO(request([](auto& r) { r.tp_frame_size = 48; }), EINVAL);
    EXPECT_ERRNO(request([](auto& r) { r.tp_frame_size += 1; }), EINVAL);
    EXPECT_ERRNO(request([](auto& r) { r.tp_frame_size = 2 * kBlockSize; }), EINVAL);
    EXPECT_ERRNO(request([](auto& r) { r.tp_frame_nr--; }), EINVAL);
    EXPECT_ERRNO(request([](auto& r) { r.tp_block_nr = 0; }), EINVAL);
    EXPECT_ERRNO(setsockopt(rings.fd, SOL_PACKET, PACKET_RX_RING, &good, 12), EINVAL);
    EXPECT_OK(request([](auto&) {}));
}

template <typename Header>
void receive_in_order(int type, int version) {
    Rings rings(type, version);
    ASSERT_OK(rings.add(PACKET_RX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor out = open_bound(SOCK_RAW, 0);
    const unsigned header_size = TPACKET_ALIGN(sizeof(Header)) + sizeof(sockaddr_ll);
    const bool has_link = type == SOCK_RAW;
    for (unsigned i = 0; i < 3 * kFrames; i++) {
        const std::string payload = "frame " + std::to_string(i);
        const std::string sent = frame_of(kOurProtocol, payload);
        send_frame(out, sent);
        ASSERT_TRUE(wait_readable(rings.fd));
        char* at = rings.frame(i % kFrames);
        ASSERT_EQ(status_of<Header>(at), unsigned{TP_STATUS_USER});
        const Frame frame = read_frame<Header>(at);
        EXPECT_EQ(frame.bytes, has_link ? sent : payload);
        EXPECT_EQ(frame.length, frame.bytes.size());
        EXPECT_EQ(frame.kept, frame.bytes.size());
        EXPECT_EQ(frame.network,
                  has_link ? TPACKET_ALIGN(header_size + 16) : TPACKET_ALIGN(header_size) + 16);
        EXPECT_EQ(frame.link, frame.network - (has_link ? 14 : 0));
        EXPECT_EQ(frame.from.sll_family, AF_PACKET);
        EXPECT_EQ(frame.from.sll_protocol, htons(kOurProtocol));
        EXPECT_EQ(frame.from.sll_ifindex, 1);
        EXPECT_EQ(frame.from.sll_hatype, ARPHRD_LOOPBACK);
        EXPECT_EQ(frame.from.sll_pkttype, PACKET_HOST);
        EXPECT_EQ(frame.from.sll_halen, 6);
        give_back<Header>(at);
        EXPECT_EQ(poll_now(rings.fd, POLLIN), 0);
    }
}

TEST_F(PacketRingTest, Version1ReceivesInOrder) {
    receive_in_order<tpacket_hdr>(SOCK_RAW, TPACKET_V1);
    receive_in_order<tpacket_hdr>(SOCK_DGRAM, TPACKET_V1);
}

TEST_F(PacketRingTest, Version2ReceivesInOrder) {
    receive_in_order<tpacket2_hdr>(SOCK_RAW, TPACKET_V2);
    receive_in_order<tpacket2_hdr>(SOCK_DGRAM, TPACKET_V2);
}

TEST_F(PacketRingTest, AFullRingDropsAndSaysSo) {
    Rings rings(SOCK_RAW, TPACKET_V2);
    ASSERT_OK(rings.add(PACKET_RX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor out = open_bound(SOCK_RAW, 0), witness = open_bound(SOCK_RAW, kOurProtocol);
    char bytes[100];
    for (unsigned i = 0; i < kFrames + 3; i++) {
        send_frame(out, frame_of(kOurProtocol, "x"));
        ASSERT_TRUE(wait_readable(witness));
        ASSERT_GT(recv(witness, bytes, sizeof(bytes), 0), 0);
    }
    for (unsigned i = 0; i < kFrames; i++) give_back<tpacket2_hdr>(rings.frame(i));
    send_frame(out, frame_of(kOurProtocol, "after"));
    ASSERT_TRUE(wait_readable(rings.fd));
    EXPECT_EQ(status_of<tpacket2_hdr>(rings.frame(0)), TP_STATUS_USER | TP_STATUS_LOSING);
    const auto statistics = get_option<tpacket_stats>(rings.fd, PACKET_STATISTICS, SOL_PACKET);
    EXPECT_EQ(statistics.tp_packets, kFrames + 4);
    EXPECT_EQ(statistics.tp_drops, 3u);
    send_frame(out, frame_of(kOurProtocol, "later"));
    ASSERT_TRUE(wait_readable(rings.fd));
    EXPECT_EQ(status_of<tpacket2_hdr>(rings.frame(1)), unsigned{TP_STATUS_USER});
}

TEST_F(PacketRingTest, LongFramesAreCutAndCopiedIfAsked) {
    Rings rings(SOCK_RAW, TPACKET_V2);
    ASSERT_OK(set_option(rings.fd, PACKET_RESERVE, 64, SOL_PACKET));
    ASSERT_OK(rings.add(PACKET_RX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor out = open_bound(SOCK_RAW, 0);
    const std::string sent = frame_of(kOurProtocol, std::string(5000, 'l'));
    send_frame(out, sent);
    ASSERT_TRUE(wait_readable(rings.fd));
    Frame frame = read_frame<tpacket2_hdr>(rings.frame(0));
    EXPECT_EQ(frame.status, unsigned{TP_STATUS_USER});
    EXPECT_EQ(frame.length, sent.size());
    EXPECT_EQ(frame.network, TPACKET_ALIGN(TPACKET2_HDRLEN + 16) + 64);
    EXPECT_EQ(frame.kept, kFrameSize - frame.link);
    char bytes[10'000];
    EXPECT_ERRNO(recv(rings.fd, bytes, sizeof(bytes), MSG_DONTWAIT), EAGAIN);
    ASSERT_OK(set_option(rings.fd, PACKET_COPY_THRESH, 1, SOL_PACKET));
    send_frame(out, sent);
    ASSERT_TRUE(wait_readable(rings.fd));
    pollfd entry = {rings.fd, POLLIN, 0};
    ASSERT_EQ(poll(&entry, 1, kPatienceMs), 1);
    ASSERT_EQ(recv(rings.fd, bytes, sizeof(bytes), 0), static_cast<ssize_t>(sent.size()));
    frame = read_frame<tpacket2_hdr>(rings.frame(1));
    EXPECT_EQ(frame.status, TP_STATUS_USER | TP_STATUS_COPY);
    EXPECT_EQ(std::string(bytes, sent.size()), sent);
}

TEST_F(PacketRingTest, Version3HandsOutBlocks) {
    Rings rings(SOCK_RAW, TPACKET_V3);
    ASSERT_OK(rings.add(PACKET_RX_RING, kBlocks, 50));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor out = open_bound(SOCK_RAW, 0);
    unsigned seen = 0;
    uint64_t sequence = 0;
    for (unsigned i = 0; i < 3; i++) send_frame(out, frame_of(kOurProtocol, std::to_string(i)));
    for (unsigned block = 0; seen < 3; block++) {
        ASSERT_TRUE(wait_readable(rings.fd));
        auto* description = reinterpret_cast<tpacket_block_desc*>(rings.block(block % kBlocks));
        auto& header = description->hdr.bh1;
        ASSERT_TRUE(look(header.block_status) & TP_STATUS_USER);
        EXPECT_TRUE(header.block_status & TP_STATUS_BLK_TMO);
        EXPECT_EQ(description->version, unsigned{TPACKET_V3});
        EXPECT_EQ(description->offset_to_priv, sizeof(tpacket_block_desc));
        EXPECT_EQ(header.offset_to_first_pkt, sizeof(tpacket_block_desc));
        EXPECT_GT(header.seq_num, sequence);
        sequence = header.seq_num;
        char* at = rings.block(block % kBlocks) + header.offset_to_first_pkt;
        for (unsigned i = 0; i < header.num_pkts; i++) {
            auto& frame = *reinterpret_cast<tpacket3_hdr*>(at);
            EXPECT_EQ(std::string(at + frame.tp_mac, frame.tp_snaplen),
                      frame_of(kOurProtocol, std::to_string(seen++)));
            EXPECT_EQ(frame.tp_status & kOurStatus, unsigned{TP_STATUS_USER});
            EXPECT_EQ(frame.tp_next_offset == 0, i + 1 == header.num_pkts);
            at += frame.tp_next_offset;
        }
        std::atomic_ref(header.block_status).store(TP_STATUS_KERNEL);
    }
    const auto statistics = get_option<tpacket_stats_v3>(rings.fd, PACKET_STATISTICS, SOL_PACKET);
    EXPECT_EQ(statistics.tp_packets, 3u);
    EXPECT_EQ(statistics.tp_drops, 0u);
}

template <typename Header>
void put_frame(char* at, const std::string& bytes, size_t offset = 0) {
    auto& header = *reinterpret_cast<Header*>(at);
    if (offset == 0) offset = TPACKET_ALIGN(sizeof(Header));
    header.tp_len = static_cast<unsigned>(bytes.size());
    memcpy(at + offset, bytes.data(), std::min(bytes.size(), kFrameSize - offset));
    give_back<Header>(at, TP_STATUS_SEND_REQUEST);
}

std::string receive_frame(int fd) {
    if (!wait_readable(fd)) return "nothing came";
    return receive_text(fd, 0, 10'000);
}

template <typename Header>
void wait_available(char* at) {
    // The device may hold it for a moment.
    for (int i = 0; i < 10'000 && status_of<Header>(at) != TP_STATUS_AVAILABLE; i++) usleep(1000);
    EXPECT_EQ(status_of<Header>(at), unsigned{TP_STATUS_AVAILABLE});
}

template <typename Header>
void send_in_order(int version) {
    Rings rings(SOCK_RAW, version, 0);
    ASSERT_OK(rings.add(PACKET_TX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor in = open_bound(SOCK_RAW, kOurProtocol);
    EXPECT_TRUE(poll_now(rings.fd) & POLLOUT);
    EXPECT_EQ(send(rings.fd, nullptr, 0, 0), 0) << "there is nothing";
    unsigned next = 0;
    for (unsigned round = 0; round < 5; round++) {
        ssize_t size = 0;
        const unsigned first = next;
        std::vector<std::string> sent;
        for (unsigned i = 0; i < 5; i++) {
            sent.push_back(frame_of(kOurProtocol, "number " + std::to_string(next)));
            put_frame<Header>(rings.frame(next++ % kFrames), sent.back());
            size += static_cast<ssize_t>(sent.back().size());
        }
        ASSERT_EQ(send(rings.fd, nullptr, 0, 0), size);
        for (const std::string& frame : sent) ASSERT_EQ(receive_frame(in), frame);
        for (unsigned i = first; i < next; i++) wait_available<Header>(rings.frame(i % kFrames));
    }
}

TEST_F(PacketRingTest, Version1SendsInOrder) {
    send_in_order<tpacket_hdr>(TPACKET_V1);
}
TEST_F(PacketRingTest, Version2SendsInOrder) {
    send_in_order<tpacket2_hdr>(TPACKET_V2);
}
TEST_F(PacketRingTest, Version3SendsInOrder) {
    send_in_order<tpacket3_hdr>(TPACKET_V3);
}

TEST_F(PacketRingTest, DatagramsAreSentWithAnAddress) {
    Rings rings(SOCK_DGRAM, TPACKET_V2, 0);
    ASSERT_OK(rings.add(PACKET_TX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor in = open_bound(SOCK_DGRAM, kOurProtocol);
    put_frame<tpacket2_hdr>(rings.frame(0), "payload");
    const sockaddr_ll to = link_address(kOurProtocol);
    EXPECT_EQ(sendto(rings.fd, nullptr, 0, 0, reinterpret_cast<const sockaddr*>(&to), sizeof(to)),
              7);
    EXPECT_EQ(receive_frame(in), "payload");
}

TEST_F(PacketRingTest, WhatCannotBeSentStopsTheRing) {
    Rings rings(SOCK_RAW, TPACKET_V2, 0);
    ASSERT_OK(rings.add(PACKET_TX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor in = open_bound(SOCK_RAW, kOurProtocol);
    auto& header = *reinterpret_cast<tpacket2_hdr*>(rings.frame(0));
    put_frame<tpacket2_hdr>(rings.frame(0), frame_of(kOurProtocol, "a"));
    put_frame<tpacket2_hdr>(rings.frame(1), frame_of(kOurProtocol, "b"));
    header.tp_len = kFrameSize - 32 + 1;
    EXPECT_ERRNO(send(rings.fd, nullptr, 0, 0), EMSGSIZE);
    EXPECT_EQ(header.tp_status, unsigned{TP_STATUS_WRONG_FORMAT});
    EXPECT_EQ(send(rings.fd, nullptr, 0, 0), 0) << "it stays at the head";
    header.tp_len = 10;
    header.tp_status = TP_STATUS_SEND_REQUEST;
    EXPECT_ERRNO(send(rings.fd, nullptr, 0, 0), EINVAL);
    header.tp_len = 15;
    header.tp_status = TP_STATUS_SEND_REQUEST;
    EXPECT_EQ(send(rings.fd, nullptr, 0, 0), 30);
    EXPECT_EQ(receive_frame(in), frame_of(kOurProtocol, "a"));
    EXPECT_EQ(receive_frame(in), frame_of(kOurProtocol, "b"));
}

TEST_F(PacketRingTest, LossSkipsWhatCannotBeSent) {
    Rings rings(SOCK_RAW, TPACKET_V2, 0);
    ASSERT_OK(set_option(rings.fd, PACKET_LOSS, 1, SOL_PACKET));
    ASSERT_OK(rings.add(PACKET_TX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor in = open_bound(SOCK_RAW, kOurProtocol);
    put_frame<tpacket2_hdr>(rings.frame(0), frame_of(kOurProtocol, std::string(3000, 'l')));
    put_frame<tpacket2_hdr>(rings.frame(1), frame_of(kOurProtocol, "b"));
    EXPECT_EQ(send(rings.fd, nullptr, 0, 0), 15);
    EXPECT_EQ(receive_frame(in), frame_of(kOurProtocol, "b"));
    wait_available<tpacket2_hdr>(rings.frame(0));
}

TEST_F(PacketRingTest, FramesBeginWhereTheySay) {
    Rings rings(SOCK_RAW, TPACKET_V2, 0);
    ASSERT_OK(set_option(rings.fd, PACKET_TX_HAS_OFF, 1, SOL_PACKET));
    ASSERT_OK(rings.add(PACKET_TX_RING));
    ASSERT_NO_FATAL_FAILURE(rings.map());
    Descriptor in = open_bound(SOCK_RAW, kOurProtocol);
    auto& header = *reinterpret_cast<tpacket2_hdr*>(rings.frame(0));
    put_frame<tpacket2_hdr>(rings.frame(0), frame_of(kOurProtocol, "there"), 100);
    header.tp_mac = 31;
    EXPECT_ERRNO(send(rings.fd, nullptr, 0, 0), EINVAL);
    header.tp_mac = kFrameSize - 18;
    header.tp_status = TP_STATUS_SEND_REQUEST;
    EXPECT_ERRNO(send(rings.fd, nullptr, 0, 0), EINVAL);
    header.tp_mac = 100;
    header.tp_status = TP_STATUS_SEND_REQUEST;
    EXPECT_EQ(send(rings.fd, nullptr, 0, 0), 19);
    EXPECT_EQ(receive_frame(in), frame_of(kOurProtocol, "there"));
}

}  // namespace
