#include "libposix/net/tests/stack_test.h"

#include "libposix/net/address_text.h"
#include "libposix/net/prefix.h"

namespace coracle::net {

StackTest::StackTest() {
    counters() = {};
    icmp4_counters = icmp6_counters = {};
    received.clear();
    errors.clear();
    start_icmp();
    register_protocol(kTestProtocol, {[](BufferPtr packet, const IpInput& how) {
                                          received.push_back({contents(*packet), how});
                                      },
                                      [](const IcmpError& error) { errors.push_back(error); }});
    NetworkScope scope;
    (void)lo.add_address({.address = IpAddress::loopback_v4(), .prefix_length = 8}).ok();
    (void)lo.add_address({.address = IpAddress::loopback_v6(), .prefix_length = 128}).ok();
    (void)eth
        .add_address({.address = ours, .prefix_length = 24, .broadcast = broadcast_of(ours, 24)})
        .ok();
    (void)add_route({.destination = IpAddress::any_v4(),
                     .gateway = peer,
                     .interface = &eth,
                     .source = IpAddress::any_v4()})
        .ok();
    ours6 = *parse_address("fec0::2");
    peer6 = *parse_address("fec0::1");
    (void)eth.add_address({.address = ours6, .prefix_length = 64}).ok();
    eth.sent.clear();
}

StackTest::~StackTest() {
    clear_neighbors();
    clear_reassembly();
    while (!routes().empty()) {
        RouteEntry entry = routes()[0];
        remove_route(entry.destination, entry.prefix_length, entry.interface, entry.gateway);
    }
    advance_clock(1'000'000'000);
    drain_buffer_pools();
    BufferStatistics left = buffer_statistics();
    for (size_t in_use : left.in_use) EXPECT_EQ(in_use, 0u) << "buffers were lost";
}

void StackTest::receive(const Bytes& frame, ChecksumState checksum) {
    NetworkScope scope;
    BufferPtr buffer = Buffer::allocate(frame.size());
    memcpy(buffer->append(frame.size()), frame.data(), frame.size());
    buffer->info.checksum = checksum;
    ethernet_input(std::move(buffer), eth);
}

Bytes StackTest::from_peer(uint16_t type, const MacAddress& to) {
    return Bytes(to.bytes, to.bytes + 6) + Bytes(kPeerMac.bytes, kPeerMac.bytes + 6) + be16(type);
}

Bytes StackTest::ipv4(const IpAddress& source, const IpAddress& destination, uint8_t protocol,
                      const Bytes& payload, uint16_t fragment, uint16_t identification,
                      const Bytes& options) {
    size_t header_size = 20 + options.size();
    Bytes header = Bytes{static_cast<uint8_t>(0x40 | header_size / 4), 0} +
                   be16(header_size + payload.size()) + be16(identification) + be16(fragment) +
                   Bytes{64, protocol, 0, 0} + be32(source.v4_host_order()) +
                   be32(destination.v4_host_order()) + options;
    uint16_t sum = checksum_of(header.data(), header.size());
    memcpy(&header[10], &sum, 2);
    return header + payload;
}

Bytes StackTest::ipv6(const IpAddress& source, const IpAddress& destination, uint8_t next_header,
                      const Bytes& payload, uint8_t hops) {
    return be32(6u << 28) + be16(payload.size()) + Bytes{next_header, hops} +
           Bytes(source.v6_bytes(), source.v6_bytes() + 16) +
           Bytes(destination.v6_bytes(), destination.v6_bytes() + 16) + payload;
}

Bytes StackTest::icmp(Bytes message) {
    message[2] = message[3] = 0;
    uint16_t sum = checksum_of(message.data(), message.size());
    memcpy(&message[2], &sum, 2);
    return message;
}

Bytes StackTest::icmpv6(const IpAddress& source, const IpAddress& destination, Bytes message,
                        uint8_t hops) {
    message[2] = message[3] = 0;
    uint64_t pseudo = pseudo_header_sum(source, destination, IPPROTO_ICMPV6, message.size());
    uint16_t sum = checksum_of(message.data(), message.size(), pseudo);
    memcpy(&message[2], &sum, 2);
    return ipv6(source, destination, IPPROTO_ICMPV6, message, hops);
}

Bytes StackTest::take_sent(uint16_t* type, MacAddress* to) {
    if (eth.sent.empty()) return {};
    Bytes frame = eth.sent.front();
    eth.sent.pop_front();
    if (type) *type = read_be16(&frame[12]);
    if (to) memcpy(to->bytes, frame.data(), 6);
    return slice(frame, 14, frame.size());
}

void StackTest::introduce_peer() {
    NeighborNews news{.is_solicited = true, .may_create = true};
    neighbor_heard(eth, peer, kPeerMac, news);
    neighbor_heard(eth, peer, kPeerMac, news);
    neighbor_heard(eth, peer6, kPeerMac, news);
    neighbor_heard(eth, peer6, kPeerMac, news);
}

Result<void> StackTest::send(const IpAddress& to, const Bytes& payload, IpOutput how) {
    NetworkScope scope;
    BufferPtr first = Buffer::allocate(kPacketHeadroom, kPacketHeadroom);
    Buffer* last = first.get();
    for (size_t at = 0; at < payload.size();) {
        size_t size = std::min<size_t>(payload.size() - at, 1700);
        BufferPtr piece = Buffer::allocate(size);
        memcpy(piece->append(size), &payload[at], size);
        at += size;
        Buffer* added = piece.get();
        last->set_next(std::move(piece));
        last = added;
    }
    how.destination = to;
    how.protocol = kTestProtocol;
    return ip_output(std::move(first), how);
}

}  // namespace coracle::net
