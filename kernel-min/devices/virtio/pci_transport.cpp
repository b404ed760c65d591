#include "kernel-min/devices/virtio/pci_transport.h"

#include "kernel-min/lib/panic.h"

namespace coracle::virtio {

// 4.1.4.3.
struct PciTransport::CommonConfig {
    uint32_t device_feature_select;
    uint32_t device_feature;
    uint32_t driver_feature_select;
    uint32_t driver_feature;
    uint16_t config_msix_vector;
    uint16_t num_queues;
    uint8_t device_status;
    uint8_t config_generation;
    uint16_t queue_select;
    uint16_t queue_size;
    uint16_t queue_msix_vector;
    uint16_t queue_enable;
    uint16_t queue_notify_off;
    uint32_t queue_desc[2];
    uint32_t queue_driver[2];
    uint32_t queue_device[2];
};

// PCI 3.0, 6.8.2.
struct PciTransport::MsixEntry {
    uint32_t address_low, address_high, data, control;
};

namespace {

constexpr uint16_t kVirtioVendor = 0x1af4, kFirstModernId = 0x1040, kLastModernId = 0x107f;
constexpr uint16_t kFirstTransitionalId = 0x1000, kLastTransitionalId = 0x103f;
constexpr uint8_t kSubsystemId = 0x2e;

// struct virtio_pci_cap (4.1.4): offsets in it, and the types of structures.
constexpr uint8_t kTypeOffset = 3, kBarOffset = 4, kAddressOffset = 8, kMultiplierOffset = 16;
constexpr uint8_t kTypeCommon = 1, kTypeNotify = 2, kTypeDevice = 4;

// MSI-X (PCI 3.0, 6.8.2).
constexpr uint8_t kMsixControl = 2, kMsixTable = 4;
constexpr uint32_t kMsixEnable = 0x8000, kMsixFunctionMask = 0x4000, kMsixLastEntry = 0x7ff;
constexpr uint32_t kMessageAddress = 0xfee00000;  // to the APIC with id 0
constexpr unsigned kMessageApicShift = 12;

volatile char* map_registers(PhysAddr address) {
    // The direct map has the first 4 GiB, where firmware puts what it can.
    return address && address < uint64_t{1} << 32 ? phys_to_virt<volatile char>(address) : nullptr;
}

}  // namespace

volatile char* PciTransport::map_structure(uint8_t type, uint8_t* capability) const {
    uint8_t at = 0;
    while ((at = function_.find_capability(pci::kCapabilityVendor, at)) != 0) {
        if (function_.read(at + kTypeOffset, 1) != type) continue;
        PhysAddr bar = function_.memory_bar(function_.read(at + kBarOffset, 1));
        if (!bar) continue;
        *capability = at;
        return map_registers(bar + function_.read(at + kAddressOffset));
    }
    return nullptr;
}

bool PciTransport::probe() {
    if (function_.vendor() != kVirtioVendor) return false;
    uint16_t id = function_.device_id();
    if (id >= kFirstModernId && id <= kLastModernId) {
        device_type_ = id - kFirstModernId;
    } else if (id >= kFirstTransitionalId && id <= kLastTransitionalId) {
        device_type_ = function_.read(kSubsystemId, 2);
    } else {
        return false;
    }
    uint8_t capability;
    common_ = reinterpret_cast<volatile CommonConfig*>(map_structure(kTypeCommon, &capability));
    config_ = map_structure(kTypeDevice, &capability);
    notify_base_ = map_structure(kTypeNotify, &capability);
    if (!common_ || !notify_base_) return false;
    notify_multiplier_ = function_.read(capability + kMultiplierOffset);
    function_.enable_memory_and_bus_master();
    return function_.find_capability(pci::kCapabilityMsix) != 0;
}

uint8_t PciTransport::status() {
    return common_->device_status;
}
void PciTransport::set_status(uint8_t status) {
    common_->device_status = status;
}

uint64_t PciTransport::device_features() {
    common_->device_feature_select = 0;
    uint64_t features = common_->device_feature;
    common_->device_feature_select = 1;
    return features | static_cast<uint64_t>(common_->device_feature) << 32;
}

void PciTransport::set_driver_features(uint64_t features) {
    common_->driver_feature_select = 0;
    common_->driver_feature = features;
    common_->driver_feature_select = 1;
    common_->driver_feature = features >> 32;
}

uint16_t PciTransport::max_queue_size(uint16_t index) {
    if (index >= kMaxQueues) return 0;
    common_->queue_select = index;
    return common_->queue_size;
}

void PciTransport::set_queue(uint16_t index, const Virtqueue& queue) {
    common_->queue_select = index;
    common_->queue_size = queue.size();
    common_->queue_desc[0] = queue.descriptors_address();
    common_->queue_desc[1] = queue.descriptors_address() >> 32;
    common_->queue_driver[0] = queue.available_address();
    common_->queue_driver[1] = queue.available_address() >> 32;
    common_->queue_device[0] = queue.used_address();
    common_->queue_device[1] = queue.used_address() >> 32;
    notify_address_[index] = reinterpret_cast<volatile uint16_t*>(
        notify_base_ + uint64_t{common_->queue_notify_off} * notify_multiplier_);
    common_->queue_enable = 1;
}

void PciTransport::notify(uint16_t index) {
    *notify_address_[index] = index;
}

void PciTransport::set_message(uint32_t entry, uint32_t apic_id) {
    messages_[entry].address_low = kMessageAddress | apic_id << kMessageApicShift;
    messages_[entry].address_high = 0;
    messages_[entry].data = vector_;
    messages_[entry].control = 0;
}

// The first message is for changes of the configuration, and for all queues that are not aimed.
void PciTransport::connect_interrupt(InterruptHandler handler, void* context,
                                     LockNeeded needs) {
    uint8_t capability = function_.find_capability(pci::kCapabilityMsix);
    uint32_t table = function_.read(capability + kMsixTable);
    messages_ = reinterpret_cast<volatile MsixEntry*>(
        map_registers(function_.memory_bar(table & 7) + (table & ~7u)));
    ASSERT(messages_);
    vector_ = register_interrupt_handler(handler, context, needs);
    set_message(0, 0);
    uint32_t control = function_.read(capability + kMsixControl, 2);
    message_count_ = (control & kMsixLastEntry) + 1;
    function_.write(capability + kMsixControl, 2, (control | kMsixEnable) & ~kMsixFunctionMask);
    common_->config_msix_vector = 0;
    for (uint16_t queue = 0; queue < kMaxQueues; queue++) {
        if (!notify_address_[queue]) continue;
        common_->queue_select = queue;
        common_->queue_msix_vector = 0;
    }
}

// Each CPU has a message of its own, with the one vector: the handler knows where it runs.
bool PciTransport::aim_interrupt(uint16_t index, const Cpu& cpu) {
    if (cpu.id >= message_count_) return false;
    set_message(cpu.id, cpu.apic_id);
    common_->queue_select = index;
    common_->queue_msix_vector = static_cast<uint16_t>(cpu.id);
    if (common_->queue_msix_vector == cpu.id) return true;
    common_->queue_msix_vector = 0;  // the device had no resources for it
    return false;
}

uint8_t PciTransport::config_byte(uint32_t offset) {
    return config_[offset];
}

}  // namespace coracle::virtio
