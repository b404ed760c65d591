// PACKET_FANOUT and PACKET_VNET_HDR (man 7 packet).
#include <linux/filter.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#include <map>
#include <set>

#include "network_packet_support.h"

namespace {

constexpr int kMembers = 3;

class PacketFanoutTest : public PacketTest {
  protected:
    // A group number of this run: others may run beside it.
    static int group() { return getpid() & 0xffff; }

    static int join(int fd, int type_and_flags, int id = group()) {
        return set_option(fd, PACKET_FANOUT, id | type_and_flags << 16, SOL_PACKET);
    }
    void make_members(int type_and_flags) {
        for (int i = 0; i < kMembers; i++) {
            members_.push_back(open_bound(SOCK_DGRAM, kOurProtocol));
            ASSERT_OK(join(members_.back(), type_and_flags));
        }
    }
    // Which member gets this; -1: none, -2: several.
    int taker_of(const std::string& payload) {
        send_frame(out_, frame_of(kOurProtocol, payload));
        EXPECT_EQ(receive(witness_), payload);
        int taker = -1;
        for (size_t i = 0; i < members_.size(); i++) {
            if (!(poll_now(members_[i], POLLIN) & POLLIN)) continue;
            EXPECT_EQ(receive(members_[i]), payload);
            taker = taker == -1 ? static_cast<int>(i) : -2;
        }
        return taker;
    }
    static std::string receive(int fd) {
        return wait_readable(fd) ? receive_text(fd) : "nothing came";
    }

    std::vector<Descriptor> members_;
    // Added last, so it gets a frame when the members have it.
    Descriptor out_ = open_bound(SOCK_RAW, 0), witness_ = open_bound(SOCK_DGRAM, kOurProtocol);
};

TEST_F(PacketFanoutTest, Errors) {
    Descriptor deaf(socket(AF_PACKET, SOCK_RAW, 0)), fd = open_bound(SOCK_RAW, kOurProtocol);
    EXPECT_ERRNO(join(deaf, PACKET_FANOUT_HASH), EINVAL);
    EXPECT_ERRNO(join(fd, 8), EINVAL);
    EXPECT_ERRNO(join(fd, PACKET_FANOUT_ROLLOVER | PACKET_FANOUT_FLAG_ROLLOVER), EINVAL);
    EXPECT_ERRNO(set_option(fd, PACKET_FANOUT_DATA, 0, SOL_PACKET), EINVAL);
    EXPECT_EQ(get_option(fd, PACKET_FANOUT, SOL_PACKET), 0);
    ASSERT_OK(join(fd, PACKET_FANOUT_LB));
    EXPECT_EQ(get_option(fd, PACKET_FANOUT, SOL_PACKET), group() | PACKET_FANOUT_LB << 16);
    EXPECT_ERRNO(join(fd, PACKET_FANOUT_LB), EALREADY);
    EXPECT_ERRNO(set_option(fd, PACKET_FANOUT_DATA, 0, SOL_PACKET), EINVAL);
    const sockaddr_ll address = link_address(kOurProtocol);
    EXPECT_ERRNO(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), EINVAL);
    Descriptor other = open_bound(SOCK_RAW, kOurProtocol), all = open_bound(SOCK_RAW, ETH_P_ALL);
    EXPECT_ERRNO(join(other, PACKET_FANOUT_HASH), EINVAL);
    EXPECT_ERRNO(join(other, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_ROLLOVER), EINVAL);
    EXPECT_ERRNO(join(all, PACKET_FANOUT_LB), EINVAL);
    int value;
    socklen_t length = sizeof(value);
    EXPECT_ERRNO(getsockopt(fd, SOL_PACKET, PACKET_ROLLOVER_STATS, &value, &length), EINVAL);
    EXPECT_OK(join(other, PACKET_FANOUT_LB));
}

TEST_F(PacketFanoutTest, GroupsHaveALimit) {
    Descriptor first = open_bound(SOCK_RAW, kOurProtocol),
               second = open_bound(SOCK_RAW, kOurProtocol);
    struct {
        uint16_t id, type_flags;
        uint32_t most;
    } arguments = {static_cast<uint16_t>(group()), PACKET_FANOUT_LB, 65537};
    EXPECT_ERRNO(set_option(first, PACKET_FANOUT, arguments, SOL_PACKET), EINVAL);
    arguments.most = 1;
    EXPECT_OK(set_option(first, PACKET_FANOUT, arguments, SOL_PACKET));
    arguments.most = 2;
    EXPECT_ERRNO(set_option(second, PACKET_FANOUT, arguments, SOL_PACKET), EINVAL);
    arguments.most = 0;
    EXPECT_ERRNO(set_option(second, PACKET_FANOUT, arguments, SOL_PACKET), ENOSPC);
    first.reset();
    arguments.most = 2;
    EXPECT_OK(set_option(second, PACKET_FANOUT, arguments, SOL_PACKET));
}

TEST_F(PacketFanoutTest, UniqueNumbers) {
    Descriptor first = open_bound(SOCK_RAW, kOurProtocol),
               second = open_bound(SOCK_RAW, kOurProtocol);
    EXPECT_ERRNO(join(first, PACKET_FANOUT_FLAG_UNIQUEID, 1), EINVAL);
    ASSERT_OK(join(first, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_UNIQUEID, 0));
    ASSERT_OK(join(second, PACKET_FANOUT_LB | PACKET_FANOUT_FLAG_UNIQUEID, 0));
    const int one = get_option(first, PACKET_FANOUT, SOL_PACKET);
    const int other = get_option(second, PACKET_FANOUT, SOL_PACKET);
    EXPECT_EQ(one >> 16, PACKET_FANOUT_LB) << "the flag is gone";
    EXPECT_NE(one & 0xffff, other & 0xffff);
}

TEST_F(PacketFanoutTest, TakesTurns) {
    make_members(PACKET_FANOUT_LB);
    std::map<int, int> taken;
    for (int i = 0; i < 4 * kMembers; i++) taken[taker_of("turn " + std::to_string(i))]++;
    for (int i = 0; i < kMembers; i++) EXPECT_EQ(taken[i], 4) << i;
}

TEST_F(PacketFanoutTest, OneMemberGetsEachByTheOtherRules) {
    for (int type : {PACKET_FANOUT_HASH, PACKET_FANOUT_CPU, PACKET_FANOUT_RND, PACKET_FANOUT_QM,
                     PACKET_FANOUT_ROLLOVER}) {
        members_.clear();
        make_members(type);
        for (int i = 0; i < 10; i++) {
            EXPECT_GE(taker_of("number " + std::to_string(i)), 0) << "rule " << type;
        }
    }
}

TEST_F(PacketFanoutTest, AFlowStaysTogether) {
    for (int i = 0; i < kMembers; i++) {
        members_.push_back(open_bound(SOCK_DGRAM, ETH_P_IP));
        ASSERT_OK(join(members_.back(), PACKET_FANOUT_HASH));
    }
    const uint16_t port = static_cast<uint16_t>(20'000 + getpid() % 10'000);
    std::map<uint16_t, std::set<size_t>> takers;  // by source port
    constexpr int kFlows = 24, kPackets = 4;
    std::vector<Descriptor> senders;
    for (int i = 0; i < kFlows; i++) senders.emplace_back(socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < kPackets; i++) {
        for (int sender : senders) {
            sendto(sender, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to));
        }
    }
    int seen = 0;
    while (seen < kFlows * kPackets) {
        pollfd entries[kMembers];
        for (int i = 0; i < kMembers; i++)
            entries[i] = {members_[static_cast<size_t>(i)], POLLIN, 0};
        ASSERT_GT(poll(entries, kMembers, kPatienceMs), 0);
        for (size_t i = 0; i < kMembers; i++) {
            if (!entries[i].revents) continue;
            const std::string packet = receive_text(members_[i]);
            if (packet.size() != 29 || packet[9] != IPPROTO_UDP) continue;
            udphdr header;
            memcpy(&header, packet.data() + 20, sizeof(header));
            if (ntohs(header.dest) != port) continue;
            takers[header.source].insert(i);
            seen++;
        }
    }
    std::set<size_t> all;
    for (const auto& [source, who] : takers) {
        EXPECT_EQ(who.size(), 1u);
        all.insert(who.begin(), who.end());
    }
    EXPECT_GT(all.size(), 1u) << "24 flows are not all one member's";
}

TEST_F(PacketFanoutTest, AProgramChooses) {
    make_members(PACKET_FANOUT_CBPF);
    EXPECT_EQ(taker_of("\1"), 0) << "there is no program yet";
    sock_filter code[] = {{BPF_LD | BPF_ABS | BPF_B, 0, 0, 0}, {BPF_RET | BPF_A, 0, 0, 0}};
    const sock_fprog program = {2, code};
    ASSERT_OK(set_option(members_[0], PACKET_FANOUT_DATA, program, SOL_PACKET));
    EXPECT_EQ(taker_of("\1"), 1);
    EXPECT_EQ(taker_of("\2"), 2);
    EXPECT_EQ(taker_of("\5"), 2) << "modulo the members";
    members_.erase(members_.begin());
    EXPECT_GE(taker_of("\4"), 0);
    ASSERT_OK(set_option(members_[0], SO_LOCK_FILTER, 1));
    EXPECT_ERRNO(set_option(members_[0], PACKET_FANOUT_DATA, program, SOL_PACKET), EPERM);
}

TEST_F(PacketFanoutTest, EbpfNeedsADescriptorOfIt) {
    Descriptor fd = open_bound(SOCK_RAW, kOurProtocol);
    ASSERT_OK(join(fd, PACKET_FANOUT_EBPF));
    EXPECT_ERRNO(set_option(fd, PACKET_FANOUT_DATA, 9999, SOL_PACKET), EBADF);
    EXPECT_ERRNO(set_option(fd, PACKET_FANOUT_DATA, 0, SOL_PACKET), EINVAL);
}

TEST_F(PacketFanoutTest, RollsOverWhenAMemberIsFull) {
    make_members(PACKET_FANOUT_CBPF | PACKET_FANOUT_FLAG_ROLLOVER);
    EXPECT_OK(set_option(members_[0], SO_RCVBUF, 1));
    const std::string payload(1000, 'r');
    std::map<int, int> taken;
    for (int i = 0; i < 10; i++) {
        send_frame(out_, frame_of(kOurProtocol, payload));
        ASSERT_EQ(receive(witness_), payload);
    }
    int others = 0;
    for (size_t i = 1; i < members_.size(); i++) {
        while (poll_now(members_[i], POLLIN) & POLLIN) {
            EXPECT_EQ(receive(members_[i]), payload);
            others++;
        }
    }
    EXPECT_GE(others, 7);
    struct {
        uint64_t all, huge, failed;
    } statistics;
    socklen_t length = sizeof(statistics);
    ASSERT_OK(getsockopt(members_[0], SOL_PACKET, PACKET_ROLLOVER_STATS, &statistics, &length));
    EXPECT_EQ(length, sizeof(statistics));
    EXPECT_EQ(statistics.all, static_cast<uint64_t>(others));
    EXPECT_EQ(statistics.failed, 0u);
}

constexpr uint16_t kUdpOffset = 14 + sizeof(ip6_hdr);

// A UDP datagram from and to ::1; its checksum is its pseudo-header's.
std::string udp_frame(uint16_t port, const std::string& payload) {
    const auto size = static_cast<uint16_t>(sizeof(udphdr) + payload.size());
    ip6_hdr ip = {};
    ip.ip6_flow = htonl(6u << 28);
    ip.ip6_plen = htons(size);
    ip.ip6_nxt = IPPROTO_UDP;
    ip.ip6_hlim = 64;
    ip.ip6_src = ip.ip6_dst = in6addr_loopback;
    udphdr udp = {};
    udp.source = htons(9);
    udp.dest = htons(port);
    udp.len = htons(size);
    udp.check = static_cast<uint16_t>(htons(1) + htons(1) + htons(IPPROTO_UDP) + udp.len);
    std::string frame = frame_of(ETH_P_IPV6, {});
    frame.append(reinterpret_cast<char*>(&ip), sizeof(ip));
    frame.append(reinterpret_cast<char*>(&udp), sizeof(udp));
    return frame + payload;
}

// struct virtio_net_hdr, whose header is not C++.
struct VnetHeader {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};
constexpr uint8_t kNeedsChecksum = 1;
constexpr uint8_t kGsoNone = 0, kGsoTcpV4 = 1, kGsoUdpL4 = 5;

class PacketVnetTest : public PacketTest {
  protected:
    PacketVnetTest() {
        sockaddr_in6 at = {};
        at.sin6_family = AF_INET6;
        at.sin6_addr = in6addr_loopback;
        EXPECT_OK(bind(udp_, reinterpret_cast<sockaddr*>(&at), sizeof(at)));
        socklen_t length = sizeof(at);
        EXPECT_OK(getsockname(udp_, reinterpret_cast<sockaddr*>(&at), &length));
        port_ = ntohs(at.sin6_port);
    }
    static std::string with(const VnetHeader& header, const std::string& frame) {
        return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + frame;
    }
    static VnetHeader needing_checksum() {
        VnetHeader header = {};
        header.flags = kNeedsChecksum;
        header.csum_start = kUdpOffset;
        header.csum_offset = 6;
        return header;
    }
    std::string receive() { return wait_readable(udp_) ? receive_text(udp_) : "nothing came"; }

    Descriptor udp_{socket(AF_INET6, SOCK_DGRAM, 0)};
    uint16_t port_;
};

TEST_F(PacketVnetTest, ChecksumsAreCompleted) {
    Descriptor out = open_bound(SOCK_RAW, 0);
    ASSERT_OK(set_option(out, PACKET_VNET_HDR, 1, SOL_PACKET));
    const VnetHeader header = needing_checksum();
    send_frame(out, with(header, udp_frame(port_, "summed")));
    EXPECT_EQ(receive(), "summed");
}

TEST_F(PacketVnetTest, DatagramsAreCut) {
    Descriptor out = open_bound(SOCK_RAW, 0);
    ASSERT_OK(set_option(out, PACKET_VNET_HDR, 1, SOL_PACKET));
    VnetHeader header = needing_checksum();
    header.hdr_len = kUdpOffset + 8;
    header.gso_type = kGsoUdpL4;
    header.gso_size = 400;
    const std::string frame =
        udp_frame(port_, std::string(400, 'a') + std::string(400, 'b') + std::string(100, 'c'));
    if (send(out, with(header, frame).data(), frame.size() + sizeof(header), 0) < 0) {
        GTEST_SKIP() << "Linux before 6.2 does not know these";
    }
    EXPECT_EQ(receive(), std::string(400, 'a'));
    EXPECT_EQ(receive(), std::string(400, 'b'));
    EXPECT_EQ(receive(), std::string(100, 'c'));
}

TEST_F(PacketVnetTest, HeadersAreChecked) {
    Descriptor out = open_bound(SOCK_RAW, 0);
    ASSERT_OK(set_option(out, PACKET_VNET_HDR, 1, SOL_PACKET));
    const std::string frame = udp_frame(port_, "x");
    auto try_send = [&](const VnetHeader& header) {
        const std::string bytes = with(header, frame);
        return send(out, bytes.data(), bytes.size(), 0);
    };
    EXPECT_ERRNO(send(out, frame.data(), 9, 0), EINVAL);
    VnetHeader header = {};
    header.hdr_len = static_cast<uint16_t>(frame.size() + 1);
    EXPECT_ERRNO(try_send(header), EINVAL);
    header.hdr_len = 0;
    header.flags = kNeedsChecksum;
    header.csum_start = static_cast<uint16_t>(frame.size() - 1);
    EXPECT_ERRNO(try_send(header), EINVAL);
    header = {};
    header.gso_type = 77;
    header.gso_size = 100;
    EXPECT_ERRNO(try_send(header), EINVAL);
    header.gso_type = kGsoTcpV4;
    header.gso_size = 0;
    EXPECT_ERRNO(try_send(header), EINVAL);
}

TEST_F(PacketVnetTest, ReceivedFramesSayWhatIsLeftToDo) {
    Descriptor in = open_bound(SOCK_RAW, ETH_P_IPV6);
    ASSERT_OK(set_option(in, PACKET_VNET_HDR, 1, SOL_PACKET));
    Descriptor udp(socket(AF_INET6, SOCK_DGRAM, 0));
    sockaddr_in6 to = {};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port_);
    to.sin6_addr = in6addr_loopback;
    ASSERT_EQ(sendto(udp, "hello", 5, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 5);
    std::string seen;
    do {
        ASSERT_TRUE(wait_readable(in));
        seen = receive_text(in);
    } while (seen.size() != sizeof(VnetHeader) + kUdpOffset + 8 + 5 || !seen.ends_with("hello"));
    VnetHeader header;
    memcpy(&header, seen.data(), sizeof(header));
    EXPECT_EQ(header.gso_type, kGsoNone);
    EXPECT_EQ(header.flags, kNeedsChecksum);
    EXPECT_EQ(header.csum_start, kUdpOffset);
    EXPECT_EQ(header.csum_offset, 6);
    ASSERT_EQ(sendto(udp, "hello", 5, 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 5);
    ASSERT_TRUE(wait_readable(in));
    char small[8];
    EXPECT_ERRNO(recv(in, small, sizeof(small), 0), EINVAL);
}

}  // namespace
