// ioctl(2)s on interfaces, for sockets of every family (man 7 netdevice).
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle::net {

// EINVAL, ENODEV, EADDRNOTAVAIL, EFAULT; EPERM for changes, which are the host's.
Result<long> interface_ioctl(uint32_t command, uint64_t argument);

}  // namespace coracle::net
