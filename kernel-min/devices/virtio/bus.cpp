#include "kernel-min/devices/virtio/bus.h"

#include <new>

#include "kernel-min/devices/virtio/mmio_parameter.h"
#include "kernel-min/devices/virtio/mmio_transport.h"
#include "kernel-min/devices/virtio/pci_transport.h"
#include "kernel-min/memory/heap.h"

namespace coracle::virtio {

namespace {

constexpr size_t kMaxDevices = 32;
Transport* devices[kMaxDevices];
size_t device_count;

// Keeps a transport that has a device behind it.
template <typename Kind, typename... Args>
void add_device(Args... args) {
    if (device_count == kMaxDevices) return;
    Kind* transport = new (std::nothrow) Kind(args...);
    if (!transport) return;
    if (transport->probe()) {
        devices[device_count++] = transport;
    } else {
        delete transport;
    }
}

}  // namespace

void discover_devices(std::string_view command_line) {
    for_each_mmio_parameter(command_line, [](const MmioParameter& parameter) {
        constexpr uint64_t kDirectMapEnd = uint64_t{1} << 32;
        if (parameter.base % 4 != 0 || parameter.base >= kDirectMapEnd) return;
        add_device<MmioTransport>(phys_to_virt<volatile uint32_t>(parameter.base),
                                  parameter.interrupt_line);
    });
    if (device_count > 0 || !pci::is_present()) return;
    pci::for_each_function([](pci::Function function) { add_device<PciTransport>(function); });
}

Transport* find_device(uint32_t type, size_t number) {
    for (size_t i = 0; i < device_count; i++) {
        if (devices[i]->device_type() == type && number-- == 0) return devices[i];
    }
    return nullptr;
}

}  // namespace coracle::virtio
