#include "kernel-min/devices/virtio/mmio_transport.h"

#include "kernel-min/core/gates.h"

namespace coracle::virtio {

namespace {

// Register offsets (4.2.2); those of legacy devices alone (4.2.4).
enum Register : uint32_t {
    kMagic = 0x000,
    kVersion = 0x004,
    kDeviceId = 0x008,
    kDeviceFeatures = 0x010,
    kDeviceFeaturesSelect = 0x014,
    kDriverFeatures = 0x020,
    kDriverFeaturesSelect = 0x024,
    kLegacyGuestPageSize = 0x028,
    kQueueSelect = 0x030,
    kQueueSizeMax = 0x034,
    kQueueSize = 0x038,
    kLegacyQueueAlign = 0x03c,
    kLegacyQueuePage = 0x040,
    kQueueReady = 0x044,
    kQueueNotify = 0x050,
    kInterruptAcknowledge = 0x064,
    kStatus = 0x070,
    kQueueDescriptors = 0x080,
    kQueueDriver = 0x090,
    kQueueDevice = 0x0a0,
    kConfig = 0x100,
};

constexpr uint32_t kMagicValue = 0x74726976;  // "virt"

}  // namespace

bool MmioTransport::probe() {
    if (read(kMagic) != kMagicValue) return false;
    version_ = read(kVersion);
    return (version_ == 1 || version_ == 2) && read(kDeviceId) != 0;
}

uint32_t MmioTransport::device_type() const {
    return read(kDeviceId);
}

uint8_t MmioTransport::status() {
    return read(kStatus);
}

void MmioTransport::set_status(uint8_t status) {
    write(kStatus, status);
    if (is_legacy() && status == kStatusAcknowledge) write(kLegacyGuestPageSize, kPageSize);
}

uint64_t MmioTransport::device_features() {
    write(kDeviceFeaturesSelect, 0);
    uint64_t features = read(kDeviceFeatures);
    if (is_legacy()) return features;
    write(kDeviceFeaturesSelect, 1);
    return features | static_cast<uint64_t>(read(kDeviceFeatures)) << 32;
}

void MmioTransport::set_driver_features(uint64_t features) {
    write(kDriverFeaturesSelect, 0);
    write(kDriverFeatures, features);
    if (is_legacy()) return;
    write(kDriverFeaturesSelect, 1);
    write(kDriverFeatures, features >> 32);
}

uint16_t MmioTransport::max_queue_size(uint16_t index) {
    write(kQueueSelect, index);
    return read(kQueueSizeMax);
}

void MmioTransport::write_address(uint32_t offset, PhysAddr address) {
    write(offset, address);
    write(offset + 4, address >> 32);
}

void MmioTransport::set_queue(uint16_t index, const Virtqueue& queue) {
    write(kQueueSelect, index);
    write(kQueueSize, queue.size());
    if (is_legacy()) {
        write(kLegacyQueueAlign, kPageSize);
        write(kLegacyQueuePage, queue.descriptors_address() / kPageSize);
        return;
    }
    write_address(kQueueDescriptors, queue.descriptors_address());
    write_address(kQueueDriver, queue.available_address());
    write_address(kQueueDevice, queue.used_address());
    write(kQueueReady, 1);
}

void MmioTransport::notify(uint16_t index) {
    write(kQueueNotify, index);
}

void MmioTransport::connect_interrupt(InterruptHandler handler, void* context,
                                      LockNeeded needs) {
    uint8_t vector = register_interrupt_handler(handler, context, needs);
    core::route_interrupt_line(interrupt_line_, vector);
}

// The line falls once all reasons are acknowledged, so the next reason is a new edge. Which ones
// there are is not worth a read: it costs a hypervisor as much as the write.
void MmioTransport::acknowledge_interrupt() {
    constexpr uint32_t kUsedBuffer = 1, kConfigChange = 2;
    write(kInterruptAcknowledge, kUsedBuffer | kConfigChange);
}

uint8_t MmioTransport::config_byte(uint32_t offset) {
    return reinterpret_cast<volatile uint8_t*>(registers_)[kConfig + offset];
}

}  // namespace coracle::virtio
