// Addresses as people write them (RFC 1123, 2.1; RFC 4291, 2.2).
#pragma once

#include <optional>
#include <string_view>

#include "libposix/net/address.h"

namespace coracle::net {

std::optional<IpAddress> parse_address(std::string_view text);

struct AddressWithPrefix {
    IpAddress address;
    uint8_t prefix_length;
};
// "10.0.2.15/24", "fd00::2/64".
std::optional<AddressWithPrefix> parse_address_with_prefix(std::string_view text);

}  // namespace coracle::net
