// What the memory system calls share: checks that Linux makes in more than one of them.
#pragma once

#include "libposix/memory/address_space.h"
#include "libposix/process/process.h"

namespace coracle {

constexpr unsigned kCapSysRawio = 17;

inline AddressSpace& current_address_space() {
    return *current_process()->address_space;
}

// Whether the process may lock memory at all (EPERM if not), and `more` bytes of it.
bool may_lock_memory();
bool may_lock_bytes(uint64_t more);

}  // namespace coracle
