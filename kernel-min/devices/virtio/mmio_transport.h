// virtio over MMIO (virtio 1.2, section 4.2): version 2, and the legacy version 1 (4.2.4), which
// QEMU's microvm offers unless it is told force-legacy=false.
#pragma once

#include "kernel-min/devices/virtio/transport.h"

namespace coracle::virtio {

class MmioTransport final : public Transport {
  public:
    // `registers` are mapped for the kernel; `interrupt_line` is a global system interrupt.
    MmioTransport(volatile uint32_t* registers, unsigned interrupt_line)
        : registers_(registers), interrupt_line_(interrupt_line) {}

    // Whether a device of a known version is behind the registers.
    bool probe();

    uint32_t device_type() const override;
    uint8_t status() override;
    void set_status(uint8_t status) override;
    uint64_t device_features() override;
    void set_driver_features(uint64_t features) override;
    uint16_t max_queue_size(uint16_t index) override;
    void set_queue(uint16_t index, const Virtqueue& queue) override;
    void notify(uint16_t index) override;
    void connect_interrupt(InterruptHandler handler, void* context, LockNeeded needs) override;
    bool aim_interrupt(uint16_t, const Cpu&) override { return false; }  // one line for all
    void acknowledge_interrupt() override;
    uint8_t config_byte(uint32_t offset) override;

  private:
    bool is_legacy() const { return version_ == 1; }
    uint32_t read(uint32_t offset) const { return registers_[offset / 4]; }
    void write(uint32_t offset, uint32_t value) { registers_[offset / 4] = value; }
    void write_address(uint32_t offset, PhysAddr address);

    volatile uint32_t* registers_;
    unsigned interrupt_line_;
    uint32_t version_ = 0;
};

}  // namespace coracle::virtio
