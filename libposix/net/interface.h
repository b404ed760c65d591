// A network interface (netdevice(7)): a name, an index, addresses, counters, and the way out of the
// machine. Interfaces live for ever; index 1 is the loopback interface.
//
// Locks: none. To send, the kernel lock may be held locally; all else needs it alone. Nothing here
// sleeps.
#pragma once

#include <linux/if.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/address.h"
#include "libposix/net/buffer.h"
#include "libposix/net/receive_filter.h"

namespace coracle::net {

// An address of an interface, with what RFC 4862 keeps of it.
struct InterfaceAddress {
    IpAddress address;
    uint8_t prefix_length = 0;  // of 32 or 128
    IpAddress broadcast{};      // of IPv4
    bool is_permanent = true;   // else it was learnt: SLAAC, DHCP
    bool is_tentative = false;  // duplicate address detection is under way
    bool is_duplicate = false;
    uint64_t valid_until_ns = UINT64_MAX, preferred_until_ns = UINT64_MAX;

    uint8_t linux_scope() const;  // RT_SCOPE_*
    bool is_usable() const { return !is_tentative && !is_duplicate; }
};

// /proc/net/dev's columns, struct rtnl_link_stats64's names.
struct InterfaceStatistics {
    uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
    uint64_t rx_errors, tx_errors, rx_dropped, tx_dropped, multicast;
    uint64_t rx_interrupts, rx_polls, tx_kicks;  // ours
};

// Of one pair of queues of a device that has several.
struct QueueStatistics {
    uint64_t rx_packets, tx_packets, rx_interrupts;
};

class Interface {
  public:
    static constexpr size_t kMaxAddresses = 16;
    static constexpr size_t kMaxGroups = 32;

    // What the device does for us.
    struct Offloads {
        bool checksum = false;  // completes kPartial
        bool tso_v4 = false, tso_v6 = false, uso = false;
    };

    Interface(std::string_view name, uint16_t hardware_type, uint32_t mtu);
    Interface(const Interface&) = delete;
    // False: there was not enough memory for it, and it must stay down.
    bool has_memory() const { return statistics_.is_allocated(); }

    std::string_view name() const { return name_; }
    uint32_t index() const { return index_; }
    uint16_t hardware_type() const { return hardware_type_; }  // ARPHRD_*
    bool is_loopback() const { return flags & IFF_LOOPBACK; }
    bool is_up() const { return flags & IFF_UP; }
    bool has_link_addresses() const { return !is_loopback(); }

    uint32_t flags = 0;  // IFF_*
    uint32_t mtu;
    uint32_t mtu_v6;  // what a router said (RFC 4861, 4.6.4); at most mtu
    uint8_t hop_limit_v6 = 64;
    MacAddress mac;
    Offloads offloads;
    ReceiveFilter receive_filter;

    // What this CPU has counted, and all have.
    InterfaceStatistics& statistics() { return statistics_.current(); }
    InterfaceStatistics total_statistics() const;

    // Sends a packet that starts at its IP header to `next_hop`, a neighbour or a group: finds the
    // link address, cuts and sums in software what the device cannot, and hands over to transmit().
    // A packet that waits for its neighbour's answer is queued.
    virtual void output(BufferPtr packet, const IpAddress& next_hop) = 0;
    // Sends a whole frame, link header included.
    virtual void transmit(BufferPtr frame) = 0;
    // Takes what has come, if the device is polled.
    virtual void poll() {}
    // The pairs of queues, if there are several; 0 if not.
    virtual size_t queue_count() const { return 0; }
    virtual QueueStatistics queue_statistics(size_t) const { return {}; }
    // What SIOCSIFMTU may choose at most.
    virtual uint32_t largest_mtu() const { return INT32_MAX; }
    // EINVAL: the device cannot.
    Result<void> set_mtu(int value);
    // What the device is to receive has changed: groups() or receive_filter.
    virtual void receive_filter_changed() {}

    std::span<const InterfaceAddress> addresses() const { return {addresses_, address_count_}; }
    // ENOBUFS if there are too many; EEXIST.
    Result<void> add_address(const InterfaceAddress& address);
    bool remove_address(const IpAddress& address);  // false: it has none such
    InterfaceAddress* find_address(const IpAddress& address);
    // The best source towards `destination` (RFC 6724, rules 1 to 3 and 8); null: none of its
    // family.
    const InterfaceAddress* choose_source(const IpAddress& destination) const;
    // Whether `address` is the broadcast address of one of the interface's networks.
    bool is_broadcast(const IpAddress& address) const;

    // Multicast groups, counted by join. ENOBUFS; EADDRNOTAVAIL if it was not joined.
    Result<void> join_group(const IpAddress& group);
    Result<void> leave_group(const IpAddress& group);
    bool is_member(const IpAddress& group) const;
    struct Group {
        IpAddress address;
        uint32_t users;
    };
    std::span<const Group> groups() const { return {groups_, group_count_}; }

  protected:
    ~Interface();

  private:
    char name_[IFNAMSIZ] = {};
    uint16_t hardware_type_;
    uint32_t index_ = 0;
    InterfaceAddress addresses_[kMaxAddresses];
    size_t address_count_ = 0;
    Group groups_[kMaxGroups];
    size_t group_count_ = 0;
    PerCpu<InterfaceStatistics> statistics_;
};

// All interfaces, by index from 1.
constexpr size_t kMaxInterfaces = 8;
std::span<Interface* const> interfaces();
Interface* find_interface(uint32_t index);
Interface* find_interface(std::string_view name);
// The interface that has this address as its own; null.
Interface* find_interface_of(const IpAddress& address);
// Whether packets to this address are this machine's own.
bool is_local_address(const IpAddress& address);

}  // namespace coracle::net
