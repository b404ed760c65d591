// virtio over PCI, modern devices with MSI-X (virtio 1.2, section 4.1).
#pragma once

#include "kernel-min/core/layout.h"
#include "kernel-min/devices/pci.h"
#include "kernel-min/devices/virtio/transport.h"

namespace coracle::virtio {

class PciTransport final : public Transport {
  public:
    explicit PciTransport(pci::Function function) : function_(function) {}

    // Finds and maps the device's structures. False if this is no modern virtio device, or one
    // without MSI-X.
    bool probe();

    uint32_t device_type() const override { return device_type_; }
    uint8_t status() override;
    void set_status(uint8_t status) override;
    uint64_t device_features() override;
    void set_driver_features(uint64_t features) override;
    uint16_t max_queue_size(uint16_t index) override;
    void set_queue(uint16_t index, const Virtqueue& queue) override;
    void notify(uint16_t index) override;
    void connect_interrupt(InterruptHandler handler, void* context, LockNeeded needs) override;
    bool aim_interrupt(uint16_t index, const Cpu& cpu) override;
    void acknowledge_interrupt() override {}  // messages need none
    uint8_t config_byte(uint32_t offset) override;

  private:
    struct CommonConfig;
    struct MsixEntry;
    static constexpr unsigned kMaxQueues = 2 * MAX_CPUS + 1;

    volatile char* map_structure(uint8_t type, uint8_t* capability) const;
    // The message of an entry, to a CPU.
    void set_message(uint32_t entry, uint32_t apic_id);

    pci::Function function_;
    uint32_t device_type_ = 0;
    volatile CommonConfig* common_ = nullptr;
    volatile char* notify_base_ = nullptr;
    volatile char* config_ = nullptr;
    uint32_t notify_multiplier_ = 0;
    volatile MsixEntry* messages_ = nullptr;
    uint32_t message_count_ = 0;
    uint8_t vector_ = 0;
    volatile uint16_t* notify_address_[kMaxQueues] = {};
};

}  // namespace coracle::virtio
