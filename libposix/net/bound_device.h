// SO_BINDTODEVICE and SO_BINDTOIFINDEX (man 7 socket): a socket that sends and receives by one
// interface alone.
#pragma once

#include "libposix/net/socket.h"

namespace coracle::net {

constexpr int kBindToInterfaceIndex = 62;  // SO_BINDTOIFINDEX; newer than the C library's headers

// EPERM: another interface has been chosen, and CAP_NET_RAW is missing; ENODEV, EINVAL, EFAULT.
Result<void> set_bound_device(Socket& socket, int option, UserIn<char> value, unsigned length);
Result<void> get_bound_device(const Socket& socket, int option, const OptionWriter& to);

}  // namespace coracle::net
