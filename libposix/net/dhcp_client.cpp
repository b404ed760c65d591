#include "libposix/net/dhcp_client.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/random.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/checksum.h"
#include "libposix/net/ip.h"
#include "libposix/net/network.h"
#include "libposix/net/prefix.h"

namespace coracle::net {

namespace {

constexpr uint16_t kServerPort = 67;
constexpr uint64_t kSecondNs = 1'000'000'000;

// The message (RFC 2131, 2): offsets of its fields.
constexpr size_t kTransaction = 4, kFlags = 10, kClientAddress = 12, kYourAddress = 16,
                 kHardwareAddress = 28, kCookie = 236, kOptions = 240, kMessageSize = 300;
constexpr uint8_t kRequestOp = 1, kReplyOp = 2;
constexpr uint32_t kMagicCookie = 0x63825363;
constexpr uint16_t kBroadcastFlag = 0x8000;

// Options (RFC 2132).
constexpr uint8_t kPad = 0, kSubnetMask = 1, kRouter = 3, kMtuOption = 26, kRequestedAddress = 50,
                  kLeaseTime = 51, kMessageType = 53, kServerIdentifier = 54, kParameterList = 55,
                  kRenewalTime = 58, kRebindingTime = 59, kEnd = 255;
enum class Message : uint8_t { kDiscover = 1, kOffer, kRequest, kDecline, kAck, kNak };

enum class State { kStopped, kSelecting, kRequesting, kBound, kRenewing, kRebinding };

struct Answer {
    Message type{};
    IpAddress address, server, router;
    uint32_t mask = 0, lease = 0, renewal = 0, rebinding = 0;
    uint16_t mtu = 0;
};

struct Client {
    Interface* interface = nullptr;
    State state = State::kStopped;
    uint32_t transaction = 0;
    int attempts = 0;
    Answer offer;
    IpAddress bound;
    uint64_t renew_ns = 0, rebind_ns = 0, end_ns = 0;
};
Client client;
void on_timer(void*);
Timer timer(on_timer, nullptr);

uint8_t* put(uint8_t* at, uint8_t option, const void* value, uint8_t size) {
    at[0] = option;
    at[1] = size;
    memcpy(at + 2, value, size);
    return at + 2 + size;
}

void send(Message type) {
    constexpr size_t kUdpHeader = 8;
    BufferPtr packet =
        Buffer::allocate(kPacketHeadroom + kUdpHeader + kMessageSize, kPacketHeadroom);
    if (!packet) return;
    uint8_t* udp = packet->append(kUdpHeader + kMessageSize);
    memset(udp, 0, kUdpHeader + kMessageSize);
    uint8_t* message = udp + kUdpHeader;
    bool is_bound = client.state == State::kRenewing || client.state == State::kRebinding;
    message[0] = kRequestOp;
    message[1] = 1;  // Ethernet
    message[2] = 6;
    write_be32(message + kTransaction, client.transaction);
    if (!is_bound) write_be16(message + kFlags, kBroadcastFlag);
    if (is_bound) memcpy(message + kClientAddress, client.bound.v4_bytes(), 4);
    memcpy(message + kHardwareAddress, client.interface->mac.bytes, 6);
    write_be32(message + kCookie, kMagicCookie);
    uint8_t* at = put(message + kOptions, kMessageType, &type, 1);
    if (client.state == State::kRequesting) {
        at = put(at, kRequestedAddress, client.offer.address.v4_bytes(), 4);
        at = put(at, kServerIdentifier, client.offer.server.v4_bytes(), 4);
    }
    const uint8_t wanted[] = {kSubnetMask, kRouter,      kMtuOption,
                              kLeaseTime,  kRenewalTime, kRebindingTime};
    at = put(at, kParameterList, wanted, sizeof(wanted));
    *at = kEnd;
    write_be16(udp, kDhcpClientPort);
    write_be16(udp + 2, kServerPort);
    write_be16(udp + 4, kUdpHeader + kMessageSize);
    bool unicast = client.state == State::kRenewing;
    IpOutput how{.source = is_bound ? client.bound : IpAddress::any_v4(),
                 .destination = unicast ? client.offer.server : IpAddress::v4(0xffffffff),
                 .protocol = IPPROTO_UDP,
                 .dont_fragment = false,
                 .interface_index = client.interface->index(),
                 .source_is_chosen = true};
    uint16_t sum = checksum_fold(
        pseudo_header_sum(how.source, how.destination, IPPROTO_UDP, kUdpHeader + kMessageSize));
    memcpy(udp + 6, &sum, 2);
    packet->info.checksum = ChecksumState::kPartial;
    packet->info.checksum_offset = 6;
    (void)ip_output(std::move(packet), how).ok();
}

void discover() {
    client.state = State::kSelecting;
    client.transaction = static_cast<uint32_t>(random_u64());
    client.attempts = 0;
}

void unbind() {
    if (client.bound.is_any()) return;
    client.interface->remove_address(client.bound);
    if (!client.offer.router.is_any()) {
        remove_route(IpAddress::any_v4(), 0, client.interface, client.offer.router);
    }
    client.bound = IpAddress();
}

// 4, 8, 16, 32, 64 s, give or take one (RFC 2131, 4.1).
uint64_t retransmission_delay() {
    uint64_t base = std::min<uint64_t>(4u << std::min(client.attempts, 4), 64) * kSecondNs;
    return base - kSecondNs + random_u64() % (2 * kSecondNs);
}

void on_timer(void*) {
    NetworkScope scope;
    uint64_t now = monotonic_ns();
    uint64_t limit = UINT64_MAX;
    switch (client.state) {
        case State::kStopped:
            return;
        case State::kBound:
            client.state = State::kRenewing;
            [[fallthrough]];
        case State::kRenewing:
            limit = client.rebind_ns;
            if (now >= client.rebind_ns) client.state = State::kRebinding;
            [[fallthrough]];
        case State::kRebinding:
            if (client.state == State::kRebinding) limit = client.end_ns;
            if (now < client.end_ns) {
                send(Message::kRequest);
                // RFC 2131, 4.4.5: half of what is left, but a minute at least.
                uint64_t half = (limit - std::min(limit, now)) / 2;
                timer.start(now + std::max(half, 60 * kSecondNs));
                return;
            }
            unbind();
            discover();
            break;
        case State::kRequesting:
            if (client.attempts >= 4) discover();
            break;
        case State::kSelecting:
            break;
    }
    send(client.state == State::kRequesting ? Message::kRequest : Message::kDiscover);
    timer.start(now + retransmission_delay());
    client.attempts++;
}

bool parse(const uint8_t* message, size_t size, Answer& to) {
    if (size < kOptions || message[0] != kReplyOp ||
        read_be32(message + kTransaction) != client.transaction ||
        memcmp(message + kHardwareAddress, client.interface->mac.bytes, 6) != 0 ||
        read_be32(message + kCookie) != kMagicCookie) {
        return false;
    }
    to.address = IpAddress::from_v4_bytes(message + kYourAddress);
    to.router = to.server = IpAddress::any_v4();
    for (size_t at = kOptions; at < size && message[at] != kEnd;) {
        if (message[at] == kPad) {
            at++;
            continue;
        }
        if (at + 2 > size || at + 2 + message[at + 1] > size) return false;
        uint8_t option = message[at], length = message[at + 1];
        const uint8_t* value = message + at + 2;
        at += size_t{2} + length;
        if (option == kMessageType && length == 1) {
            to.type = static_cast<Message>(value[0]);
        } else if (option == kMtuOption && length == 2) {
            to.mtu = read_be16(value);
        } else if (length < 4) {
            continue;
        } else if (option == kSubnetMask) {
            to.mask = read_be32(value);
        } else if (option == kRouter) {
            to.router = IpAddress::from_v4_bytes(value);
        } else if (option == kServerIdentifier) {
            to.server = IpAddress::from_v4_bytes(value);
        } else if (option == kLeaseTime) {
            to.lease = read_be32(value);
        } else if (option == kRenewalTime) {
            to.renewal = read_be32(value);
        } else if (option == kRebindingTime) {
            to.rebinding = read_be32(value);
        }
    }
    return true;
}

void bind(const Answer& answer) {
    if (!(client.bound == answer.address)) {
        unbind();
        auto prefix = static_cast<uint8_t>(answer.mask ? std::countl_one(answer.mask) : 24);
        bool added = client.interface
                         ->add_address({.address = answer.address,
                                        .prefix_length = prefix,
                                        .broadcast = broadcast_of(answer.address, prefix),
                                        .is_permanent = false})
                         .ok();
        if (!added) return;
        client.bound = answer.address;
        if (answer.mtu >= 576 && answer.mtu <= client.interface->mtu) {
            client.interface->mtu = answer.mtu;
        }
        if (!answer.router.is_any()) {
            (void)add_route({.destination = IpAddress::any_v4(),
                             .gateway = answer.router,
                             .interface = client.interface,
                             .source = answer.address,
                             .protocol = RTPROT_DHCP})
                .ok();
        }
    }
    client.offer = answer;
    client.state = State::kBound;
    constexpr uint32_t kForever = UINT32_MAX;
    uint64_t lease = answer.lease ? answer.lease : 3600;
    uint64_t now = monotonic_ns();
    client.end_ns = now + lease * kSecondNs;
    client.renew_ns = now + (answer.renewal ? answer.renewal : lease / 2) * kSecondNs;
    client.rebind_ns = now + (answer.rebinding ? answer.rebinding : lease * 7 / 8) * kSecondNs;
    if (lease == kForever) {
        timer.cancel();
    } else {
        timer.start(client.renew_ns);
    }
}

}  // namespace

void start_dhcp(Interface& interface) {
    if (client.interface) return;
    client.interface = &interface;
    discover();
    on_timer(nullptr);
}

bool dhcp_input(const Buffer& datagram, Interface& interface) {
    if (client.state == State::kStopped || &interface != client.interface) return false;
    constexpr size_t kUdpHeader = 8;
    uint8_t bytes[kUdpHeader + 576];
    size_t size = std::min(datagram.chain_length(), sizeof(bytes));
    if (!datagram.copy_out(0, bytes, size) || size < kUdpHeader) return false;
    Answer answer;
    if (read_be16(bytes) != kServerPort) return false;
    if (!parse(bytes + kUdpHeader, size - kUdpHeader, answer)) return true;
    if (answer.type == Message::kOffer && client.state == State::kSelecting) {
        client.offer = answer;
        client.state = State::kRequesting;
        client.attempts = 0;
        on_timer(nullptr);
    } else if (answer.type == Message::kAck && client.state != State::kSelecting) {
        bind(answer);
    } else if (answer.type == Message::kNak && client.state != State::kSelecting) {
        unbind();
        discover();
        on_timer(nullptr);
    }
    return true;
}

}  // namespace coracle::net
