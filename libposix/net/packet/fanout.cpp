#include "libposix/net/packet/fanout.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#include <algorithm>
#include <new>

#include "kernel-min/lib/random.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/cpu.h"
#include "libposix/net/checksum.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/packet/packet_socket.h"

namespace coracle::net {

namespace {

constexpr uint32_t kDefaultMembers = 256, kMaxMembers = 1 << 16;  // PACKET_FANOUT_MAX
constexpr uint16_t kUniqueId = 0x2000;                            // PACKET_FANOUT_FLAG_UNIQUEID

using GroupList = boost::intrusive::list<FanoutGroup, boost::intrusive::constant_time_size<false>>;
GroupList groups;

FanoutGroup* find_group(uint16_t id) {
    for (FanoutGroup& group : groups) {
        if ((group.describe() & 0xffff) == id) return &group;
    }
    return nullptr;
}

Result<uint16_t> unused_id() {
    static uint16_t next = 0;
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        const uint16_t id = next++;
        if (!find_group(id)) return id;
    }
    return Error(ENOMEM);
}

bool has_ports(uint8_t protocol) {
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

// The same for both directions of a flow.
uint32_t symmetric_hash(const Buffer& frame) {
    const uint16_t protocol = frame.info.ethernet_protocol;
    uint8_t ip[40];
    uint64_t sum = protocol;
    size_t transport = 0;
    if (protocol == ETHERTYPE_IP && frame.copy_out(kEthernetHeaderSize, ip, 20)) {
        constexpr uint16_t kOffsetOrMore = 0x3fff;
        sum += uint64_t{read_be32(ip + 12)} + read_be32(ip + 16) + (uint64_t{ip[9]} << 33);
        const bool is_fragment = read_be16(ip + 6) & kOffsetOrMore;
        if (has_ports(ip[9]) && !is_fragment) transport = kEthernetHeaderSize + ip[0] % 16 * 4u;
    } else if (protocol == ETHERTYPE_IPV6 && frame.copy_out(kEthernetHeaderSize, ip, 40)) {
        sum += uint64_t{ip[6]} << 33;
        for (size_t i = 8; i < 40; i += 4) sum += read_be32(ip + i);
        if (has_ports(ip[6])) transport = kEthernetHeaderSize + sizeof(ip);
    }
    uint8_t ports[4];
    if (transport && frame.copy_out(transport, ports, sizeof(ports))) {
        sum += (uint64_t{read_be16(ports)} + read_be16(ports + 2)) << 16;
    }
    return static_cast<uint32_t>(sum * 0x9e3779b97f4a7c15 >> 32);
}

bool is_huge_flow(Rollover& rollover, const Buffer& frame) {
    const uint32_t hash = symmetric_hash(frame);
    const auto count = std::count(rollover.history, rollover.history + Rollover::kHistory, hash);
    rollover.history[random_u64() % Rollover::kHistory] = hash;
    return count > static_cast<ptrdiff_t>(Rollover::kHistory / 2);
}

// All of `range` alike for hashes that are spread evenly.
size_t scale(uint32_t hash, size_t range) {
    return uint64_t{hash} * range >> 32;
}

}  // namespace

bool PacketHook::takes(const Buffer& frame, const Interface& interface) const {
    if (interface_index && interface_index != interface.index()) return false;
    // What goes out is shown to those alone who want everything.
    return protocol == ETH_P_ALL || (protocol && frame.info.link_type != PACKET_OUTGOING &&
                                     protocol == frame.info.ethernet_protocol);
}

FanoutGroup::FanoutGroup(const fanout_args& wanted, const PacketHook& hook,
                         std::unique_ptr<PacketSocket*[]> members, uint32_t most)
    : id_(wanted.id),
      type_(static_cast<uint8_t>(wanted.type_flags)),
      flags_(static_cast<uint8_t>(wanted.type_flags >> 8)),
      hook_(hook),
      members_(std::move(members)),
      most_(most) {
    groups.push_back(*this);
}

Result<RefPtr<FanoutGroup>> FanoutGroup::find_or_create(const fanout_args& given,
                                                        const PacketHook& hook) {
    // PACKET_FANOUT_FLAG_DEFRAG would need the packets joined before they are seen.
    constexpr uint16_t kKnownFlags = PACKET_FANOUT_FLAG_ROLLOVER | kUniqueId;
    fanout_args wanted = given;
    const uint8_t type = static_cast<uint8_t>(wanted.type_flags);
    const uint16_t flags = wanted.type_flags & 0xff00;
    if (type > PACKET_FANOUT_EBPF || (flags & ~kKnownFlags)) return Error(EINVAL);
    if (type == PACKET_FANOUT_ROLLOVER && (flags & PACKET_FANOUT_FLAG_ROLLOVER)) {
        return Error(EINVAL);
    }
    if (flags & kUniqueId) {
        if (wanted.id != 0) return Error(EINVAL);
        wanted.id = TRY(unused_id());
        wanted.type_flags &= static_cast<uint16_t>(~kUniqueId);
    }
    if (hook.protocol == 0) return Error(EINVAL);
    if (FanoutGroup* group = find_group(wanted.id)) {
        if (group->describe() >> 16 != wanted.type_flags || group->hook_ != hook ||
            (wanted.max_num_members && wanted.max_num_members != group->most_)) {
            return Error(EINVAL);
        }
        if (group->count_ == group->most_) return Error(ENOSPC);
        return RefPtr<FanoutGroup>(group);
    }
    if (wanted.max_num_members > kMaxMembers) return Error(EINVAL);
    const uint32_t most = wanted.max_num_members ? wanted.max_num_members : kDefaultMembers;
    std::unique_ptr<PacketSocket*[]> members(new (std::nothrow) PacketSocket*[most]);
    if (!members) return Error(ENOMEM);
    return make_ref<FanoutGroup>(wanted, hook, std::move(members), most);
}

void FanoutGroup::remove(PacketSocket& member) {
    PacketSocket** end = members_.get() + count_;
    *std::find(members_.get(), end, &member) = end[-1];
    count_--;
}

size_t FanoutGroup::roll_over(size_t index, bool tries_itself, const Buffer& frame) {
    PacketSocket& first = *members_[index];
    Rollover& rollover = first.rollover();
    Room room = Room::kNone;
    if (tries_itself) {
        room = first.room(frame);
        if (room == Room::kEnough) return index;
        if (room == Room::kLittle && !is_huge_flow(rollover, frame)) return index;
    }
    const size_t start = std::min<size_t>(rollover.next, count_ - 1);
    size_t i = start;
    do {
        const bool may = !tries_itself || members_[i] != &first;
        if (may && members_[i]->room(frame) == Room::kEnough) {
            rollover.next = i;
            rollover.all++;
            if (room == Room::kLittle) rollover.huge++;
            return i;
        }
        i = i + 1 == count_ ? 0 : i + 1;
    } while (i != start);
    rollover.failed++;
    return index;
}

size_t FanoutGroup::choose(const Buffer& frame, const Interface& interface) {
    switch (type_) {
        case PACKET_FANOUT_LB:
            return ++turn_ % count_;
        case PACKET_FANOUT_CPU:
            return current_cpu()->id % count_;
        case PACKET_FANOUT_RND:
            return scale(static_cast<uint32_t>(random_u64()), count_);
        case PACKET_FANOUT_QM: {
            // A pair of queues is served by the CPU of its number.
            const size_t queues = interface.queue_count();
            return queues ? current_cpu()->id % queues % count_ : 0;
        }
        case PACKET_FANOUT_ROLLOVER:
            return roll_over(0, false, frame);
        case PACKET_FANOUT_CBPF:
        case PACKET_FANOUT_EBPF:
            return run_program(frame, interface) % count_;
        default:
            return scale(symmetric_hash(frame), count_);
    }
}

uint32_t FanoutGroup::run_program(const Buffer& frame, const Interface& interface) const {
    if (!program_) return 0;
    // Of what comes in, the link header has been taken off.
    const bool is_outgoing = frame.info.link_type == PACKET_OUTGOING;
    return program_->run(bpf_packet_of(frame, interface, is_outgoing ? 0 : kEthernetHeaderSize));
}

void FanoutGroup::offer(const Buffer& frame, const Interface& interface,
                        const PacketSocket* sender) {
    if (count_ == 0 || !hook_.takes(frame, interface)) return;
    if (sender && sender->fanout() == this) return;
    size_t index = choose(frame, interface);
    if (flags_ & PACKET_FANOUT_FLAG_ROLLOVER >> 8) index = roll_over(index, true, frame);
    members_[index]->offer(frame, interface);
}

void offer_to_fanouts(const Buffer& frame, const Interface& interface, const PacketSocket* sender) {
    for (FanoutGroup& group : groups) group.offer(frame, interface, sender);
}

}  // namespace coracle::net
