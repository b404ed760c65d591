#include "libposix/net/interface.h"

#include <linux/rtnetlink.h>

#include <algorithm>

#include "libposix/net/ip/multicast.h"
#include "libposix/net/prefix.h"
#include "libposix/net/route.h"

namespace coracle::net {

namespace {

Interface* table[kMaxInterfaces];
size_t interface_count;

// Small for near addresses (RFC 6724, 3.1).
int scope_of(const IpAddress& address) {
    if (address.is_loopback() || address.is_link_local()) return 2;
    if (address.is_v6() && address.v6_bytes()[0] == 0xfe && address.v6_bytes()[1] >= 0xc0) return 5;
    return 14;
}

}  // namespace

uint8_t InterfaceAddress::linux_scope() const {
    if (address.is_loopback()) return RT_SCOPE_HOST;
    if (address.is_link_local()) return RT_SCOPE_LINK;
    return scope_of(address) == 5 ? RT_SCOPE_SITE : RT_SCOPE_UNIVERSE;
}

Interface::Interface(std::string_view name, uint16_t hardware_type, uint32_t mtu)
    : mtu(mtu), mtu_v6(mtu), hardware_type_(hardware_type) {
    ASSERT(name.size() < sizeof(name_) && interface_count < kMaxInterfaces);
    name.copy(name_, name.size());
    table[interface_count++] = this;
    index_ = static_cast<uint32_t>(interface_count);
    (void)statistics_.allocate();
}

Interface::~Interface() {
    // Only tests take one away, the last first.
    ASSERT(table[interface_count - 1] == this);
    interface_count--;
}

InterfaceStatistics Interface::total_statistics() const {
    InterfaceStatistics total{};
    statistics_.for_each([&](const InterfaceStatistics& of_cpu) { add_counters(total, of_cpu); });
    return total;
}

Result<void> Interface::add_address(const InterfaceAddress& address) {
    if (find_address(address.address)) return Error(EEXIST);
    if (address_count_ == kMaxAddresses) return Error(ENOBUFS);
    addresses_[address_count_++] = address;
    if (!is_loopback() && address.prefix_length < full_prefix(address.address)) {
        TRY(add_route({.destination = mask_address(address.address, address.prefix_length),
                       .prefix_length = address.prefix_length,
                       .gateway = wildcard_of(address.address),
                       .interface = this,
                       .source = address.address,
                       .metric = address.address.is_v4() ? 0u : 256u,
                       .protocol = RTPROT_KERNEL,
                       .valid_until_ns = address.valid_until_ns}));
    }
    routes_changed();
    return {};
}

bool Interface::remove_address(const IpAddress& address) {
    InterfaceAddress* found = find_address(address);
    if (!found) return false;
    InterfaceAddress removed = *found;
    std::move(found + 1, addresses_ + address_count_, found);
    address_count_--;
    bool shared = std::any_of(addresses_, addresses_ + address_count_, [&](const auto& other) {
        return other.prefix_length == removed.prefix_length &&
               in_prefix(other.address, removed.address, removed.prefix_length);
    });
    if (!shared) {
        remove_route(mask_address(removed.address, removed.prefix_length), removed.prefix_length,
                     this, wildcard_of(removed.address));
    }
    routes_changed();
    return true;
}

InterfaceAddress* Interface::find_address(const IpAddress& address) {
    for (size_t i = 0; i < address_count_; i++) {
        if (addresses_[i].address == address) return &addresses_[i];
    }
    return nullptr;
}

const InterfaceAddress* Interface::choose_source(const IpAddress& destination) const {
    const InterfaceAddress* best = nullptr;
    int best_score = -1;
    int wanted_scope = scope_of(destination);
    for (const InterfaceAddress& candidate : addresses()) {
        if (candidate.address.is_v4() != destination.is_v4() || !candidate.is_usable()) continue;
        int scope = scope_of(candidate.address);
        // Rule 2: the smallest scope that reaches the destination, else the largest there is.
        int score = scope >= wanted_scope ? 3000 - 200 * scope : 200 * scope / 10;
        bool on_link = in_prefix(destination, candidate.address, candidate.prefix_length);
        score += on_link ? 100 : 0;
        if (candidate.preferred_until_ns == UINT64_MAX) score += 1;
        if (score > best_score) {
            best = &candidate;
            best_score = score;
        }
    }
    return best;
}

bool Interface::is_broadcast(const IpAddress& address) const {
    if (!address.is_v4()) return false;
    for (const InterfaceAddress& own : addresses()) {
        if (own.address.is_v4() && own.prefix_length < 31 && address == own.broadcast) return true;
    }
    return false;
}

Result<void> Interface::set_mtu(int value) {
    const uint32_t least = is_loopback() ? 0 : 68;
    if (value < 0) return Error(EINVAL);
    auto wanted = static_cast<uint32_t>(value);
    if (wanted < least || wanted > largest_mtu()) return Error(EINVAL);
    mtu = mtu_v6 = wanted;
    return {};
}

Result<void> Interface::join_group(const IpAddress& group) {
    for (Group& joined : std::span(groups_, group_count_)) {
        if (joined.address == group) {
            joined.users++;
            return {};
        }
    }
    if (group_count_ == kMaxGroups) return Error(ENOBUFS);
    groups_[group_count_++] = {group, 1};
    if (has_link_addresses()) {
        receive_filter_changed();
        report_group(*this, group, GroupChange::kJoin);
    }
    return {};
}

Result<void> Interface::leave_group(const IpAddress& group) {
    for (Group& joined : std::span(groups_, group_count_)) {
        if (!(joined.address == group)) continue;
        if (--joined.users > 0) return {};
        joined = groups_[--group_count_];
        if (has_link_addresses()) {
            receive_filter_changed();
            report_group(*this, group, GroupChange::kLeave);
        }
        return {};
    }
    return Error(EADDRNOTAVAIL);
}

bool Interface::is_member(const IpAddress& group) const {
    auto joined = groups();
    return std::any_of(joined.begin(), joined.end(),
                       [&](const Group& other) { return other.address == group; });
}

std::span<Interface* const> interfaces() {
    return {table, interface_count};
}

Interface* find_interface(uint32_t index) {
    return index >= 1 && index <= interface_count ? table[index - 1] : nullptr;
}

Interface* find_interface(std::string_view name) {
    for (Interface* interface : interfaces()) {
        if (interface->name() == name) return interface;
    }
    return nullptr;
}

Interface* find_interface_of(const IpAddress& address) {
    for (Interface* interface : interfaces()) {
        if (interface->find_address(address)) return interface;
    }
    return nullptr;
}

bool is_local_address(const IpAddress& address) {
    // The whole of 127/8 is the loopback interface's (RFC 1122, 3.2.1.3).
    if (address.is_v4() && address.is_loopback()) return true;
    return find_interface_of(address) != nullptr;
}

}  // namespace coracle::net
