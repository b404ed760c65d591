// The virtio devices of this machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel-min/devices/virtio/transport.h"

namespace coracle::virtio {

// Finds the MMIO devices that the command line names (Linux's virtio_mmio.device=SIZE@BASE:IRQ,
// which QEMU's microvm and Firecracker append) and, if there are none, those on PCI. Called once.
void discover_devices(std::string_view command_line);

// The device of a type (kDevice...) with this number among them; null if there is none. Devices
// live for ever.
Transport* find_device(uint32_t type, size_t number = 0);

}  // namespace coracle::virtio
