// Options of packet sockets: memberships, statistics (man 7 packet).
#include <algorithm>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/net/filter/filter_options.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/network.h"
#include "libposix/net/packet/packet_socket.h"

namespace coracle::net {

namespace {

void count_users(Interface& interface, uint32_t& users, uint32_t flag, bool joins) {
    users += joins ? 1 : ~0u;
    interface.flags = users ? interface.flags | flag : interface.flags & ~flag;
}

}  // namespace

bool PacketSocket::Membership::is_like(const packet_mreq& request) const {
    return interface_index == request.mr_ifindex && type == request.mr_type &&
           address_length == request.mr_alen &&
           memcmp(address, request.mr_address, address_length) == 0;
}

Result<void> PacketSocket::apply_membership(const Membership& membership, bool joins) {
    Interface* interface = find_interface(static_cast<uint32_t>(membership.interface_index));
    if (!interface) return {};
    ReceiveFilter& filter = interface->receive_filter;
    switch (membership.type) {
        case PACKET_MR_PROMISC:
            count_users(*interface, filter.promiscuous_users, IFF_PROMISC, joins);
            break;
        case PACKET_MR_ALLMULTI:
            count_users(*interface, filter.all_multicast_users, IFF_ALLMULTI, joins);
            break;
        case PACKET_MR_MULTICAST:
        case PACKET_MR_UNICAST: {
            MacAddress mac;
            if (membership.address_length != sizeof(mac.bytes)) return Error(EINVAL);
            memcpy(mac.bytes, membership.address, sizeof(mac.bytes));
            if (!joins) {
                filter.remove(mac);
            } else {
                TRY(filter.add(mac));
            }
            break;
        }
    }
    NetworkScope scope;
    interface->receive_filter_changed();
    return {};
}

Result<void> PacketSocket::change_membership(const packet_mreq& request, bool joins) {
    Membership* known = std::find_if(memberships_, memberships_ + membership_count_,
                                     [&](const Membership& m) { return m.is_like(request); });
    bool is_known = known != memberships_ + membership_count_;
    if (!joins) {
        // As on Linux: what was not joined is left without complaint.
        if (!is_known || --known->users) return {};
        TRY(apply_membership(*known, false));
        *known = memberships_[--membership_count_];
        return {};
    }
    if (request.mr_ifindex <= 0 || !find_interface(static_cast<uint32_t>(request.mr_ifindex))) {
        return Error(ENODEV);
    }
    if (request.mr_alen > sizeof(MacAddress::bytes)) return Error(EINVAL);
    if (is_known) {
        known->users++;
        return {};
    }
    if (request.mr_type > PACKET_MR_UNICAST) return Error(EINVAL);
    if (membership_count_ == kMaxMemberships) return Error(ENOBUFS);
    *known = {request.mr_ifindex, request.mr_type, request.mr_alen, {}, 1};
    memcpy(known->address, request.mr_address, sizeof(known->address));
    TRY(apply_membership(*known, true));
    membership_count_++;
    return {};
}

Result<void> PacketSocket::set_option(int level, int option, UserIn<char> value, unsigned length) {
    if (level != SOL_PACKET) return Error(ENOPROTOOPT);
    switch (option) {
        case PACKET_ADD_MEMBERSHIP:
        case PACKET_DROP_MEMBERSHIP:
            return change_membership(TRY(read_option_as<packet_mreq>(value, length)),
                                     option == PACKET_ADD_MEMBERSHIP);
        case PACKET_RX_RING:
        case PACKET_TX_RING:
        case PACKET_VERSION:
        case PACKET_RESERVE:
        case PACKET_LOSS:
        case PACKET_TX_HAS_OFF:
            return set_ring_option(option, value, length);
        case PACKET_AUXDATA:
        case PACKET_ORIGDEV:
            return set_number(option, TRY(read_option(value, length)));
        case PACKET_VNET_HDR:
            if (strips_header()) return Error(EINVAL);
            return set_number(option, TRY(read_option(value, length)));
        case PACKET_IGNORE_OUTGOING:
        case PACKET_COPY_THRESH:
        case PACKET_TIMESTAMP:
        case PACKET_QDISC_BYPASS:
            if (length != sizeof(int)) return Error(EINVAL);
            return set_number(option, TRY(read_option(value, length)));
        case PACKET_FANOUT:
            return join_fanout(value, length);
        case PACKET_FANOUT_DATA:
            return set_fanout_data(value, length);
        default:
            return Error(ENOPROTOOPT);
    }
}

Result<void> PacketSocket::set_number(int option, int value) {
    switch (option) {
        case PACKET_AUXDATA:
            tells_status_ = value;
            break;
        case PACKET_ORIGDEV:
            original_device_ = value;
            break;
        case PACKET_VNET_HDR:
            if (has_ring()) return Error(EBUSY);
            has_vnet_header_ = value;
            break;
        case PACKET_IGNORE_OUTGOING:
            if (value < 0 || value > 1) return Error(EINVAL);
            ignores_outgoing_ = value;
            break;
        case PACKET_COPY_THRESH:
            copy_threshold_ = value;
            break;
        case PACKET_TIMESTAMP:
            timestamp_source_ = value;
            break;
        case PACKET_QDISC_BYPASS:
            bypasses_queueing_ = value;
            break;
    }
    return {};
}

Result<void> PacketSocket::join_fanout(UserIn<char> value, unsigned length) {
    fanout_args wanted{};
    if (length != sizeof(int) && length != sizeof(wanted)) return Error(EINVAL);
    TRY(value.read_array(reinterpret_cast<char*>(&wanted), length));
    if (fanout_) return Error(EALREADY);
    RefPtr<FanoutGroup> group = TRY(FanoutGroup::find_or_create(wanted, hook_));
    if (group->rolls_over()) {
        rollover_.reset(new (std::nothrow) Rollover);
        if (!rollover_) return Error(ENOMEM);
    }
    group->add(*this);
    fanout_ = std::move(group);
    return {};
}

Result<void> PacketSocket::set_fanout_data(UserIn<char> value, unsigned length) {
    if (!fanout_) return Error(EINVAL);
    const uint8_t type = fanout_->type();
    if (type != PACKET_FANOUT_CBPF && type != PACKET_FANOUT_EBPF) return Error(EINVAL);
    if (options.is_on(SO_LOCK_FILTER)) return Error(EPERM);
    if (type == PACKET_FANOUT_EBPF) {
        if (length != sizeof(int)) return Error(EINVAL);
        return no_ebpf_program(TRY(read_option(value, length)));
    }
    RefPtr<BpfProgram> program = TRY(read_bpf_program(value, length));
    fanout_->set_program(std::move(program));
    return {};
}

Result<void> PacketSocket::get_option(int level, int option, const OptionWriter& to) {
    if (level != SOL_PACKET) return Error(ENOPROTOOPT);
    switch (option) {
        case PACKET_STATISTICS: {
            // Since the last time; packets counts the dropped ones, too.
            const tpacket_stats statistics{std::exchange(packets_, 0), std::exchange(drops_, 0)};
            if (ring_version_ != TPACKET_V3) return to.put_value(statistics);
            const uint32_t freezes = receive_ring_ ? receive_ring_->take_freezes() : 0;
            return to.put_value(
                tpacket_stats_v3{statistics.tp_packets, statistics.tp_drops, freezes});
        }
        case PACKET_HDRLEN: {
            if (to.room() < sizeof(int)) return Error(EINVAL);
            const int version = TRY(UserIn<int>(to.address()).read());
            if (version < TPACKET_V1 || version > TPACKET_V3) return Error(EINVAL);
            return to.put_value(static_cast<int>(ring_header_size(version)));
        }
        case PACKET_VERSION:
            return to.put_value(ring_version_);
        case PACKET_RESERVE:
            return to.put_value(ring_reserve_);
        case PACKET_LOSS:
            return to.put_value(int{skips_bad_frames_});
        case PACKET_AUXDATA:
            return to.put_value(int{tells_status_});
        case PACKET_ORIGDEV:
            return to.put_value(int{original_device_});
        case PACKET_VNET_HDR:
            return to.put_value(int{has_vnet_header_});
        case PACKET_TIMESTAMP:
            return to.put_value(timestamp_source_);
        case PACKET_QDISC_BYPASS:
            return to.put_value(int{bypasses_queueing_});
        case PACKET_TX_HAS_OFF:
            return to.put_value(int{frames_say_offset_});
        case PACKET_FANOUT:
            return to.put_value(fanout_ ? fanout_->describe() : 0u);
        case PACKET_ROLLOVER_STATS:
            if (!rollover_) return Error(EINVAL);
            return to.put_value(
                tpacket_rollover_stats{rollover_->all, rollover_->huge, rollover_->failed});
        case PACKET_IGNORE_OUTGOING:
            return to.put_value(int{ignores_outgoing_});
        default:
            return Error(ENOPROTOOPT);
    }
}

}  // namespace coracle::net
