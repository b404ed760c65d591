// What an interface receives besides frames for its own address, for everybody and for the groups
// of its protocols: what packet sockets ask for, counted by user (Linux's dev_set_promiscuity() and
// address lists).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/lib/result.h"

namespace coracle::net {

struct MacAddress {
    uint8_t bytes[6] = {};
    bool operator==(const MacAddress&) const = default;
    bool is_group() const { return bytes[0] & 1; }
};

class ReceiveFilter {
  public:
    static constexpr size_t kMaxAddresses = 32;
    struct Address {
        MacAddress mac;
        uint32_t users;
    };

    uint32_t promiscuous_users = 0, all_multicast_users = 0;

    std::span<const Address> addresses() const { return {addresses_, count_}; }
    // ENOBUFS.
    Result<void> add(const MacAddress& mac) {
        if (Address* known = find(mac)) {
            known->users++;
            return {};
        }
        if (count_ == kMaxAddresses) return Error(ENOBUFS);
        addresses_[count_++] = {mac, 1};
        return {};
    }
    // Precondition: it was added.
    void remove(const MacAddress& mac) {
        Address* known = find(mac);
        if (--known->users == 0) *known = addresses_[--count_];
    }

  private:
    Address* find(const MacAddress& mac) {
        Address* end = addresses_ + count_;
        Address* found = std::find_if(addresses_, end, [&](const auto& a) { return a.mac == mac; });
        return found == end ? nullptr : found;
    }

    Address addresses_[kMaxAddresses];
    size_t count_ = 0;
};

}  // namespace coracle::net
