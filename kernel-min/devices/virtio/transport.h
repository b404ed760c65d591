// How a driver reaches a virtio device (virtio 1.2, chapter 4): what MMIO and PCI have in common.
#pragma once

#include <cstdint>

#include "kernel-min/devices/virtio/virtqueue.h"
#include "kernel-min/sched/cpu.h"

namespace coracle::virtio {

class Transport {
  public:
    virtual uint32_t device_type() const = 0;
    virtual uint8_t status() = 0;
    virtual void set_status(uint8_t status) = 0;  // 0 resets the device
    virtual uint64_t device_features() = 0;
    virtual void set_driver_features(uint64_t features) = 0;
    // 0: there is no such queue.
    virtual uint16_t max_queue_size(uint16_t index) = 0;
    virtual void set_queue(uint16_t index, const Virtqueue& queue) = 0;
    // Cheap: one store.
    virtual void notify(uint16_t index) = 0;
    // Routes the device's interrupts to `handler`, which calls acknowledge_interrupt() before it
    // looks at the queues: the lines are edge-triggered.
    virtual void connect_interrupt(InterruptHandler handler, void* context,
                                   LockNeeded needs) = 0;
    // Has the queue's interrupts come to this CPU, where the handler runs; before, they come to the
    // first one. False: they cannot be told from those of other queues, and nothing changes.
    // Precondition: connect_interrupt().
    virtual bool aim_interrupt(uint16_t index, const Cpu& cpu) = 0;
    virtual void acknowledge_interrupt() = 0;
    // A byte of the device's own configuration.
    virtual uint8_t config_byte(uint32_t offset) = 0;

    // Reset, and the negotiation of 3.1.1 up to FEATURES_OK. `wanted` are the driver's features,
    // VERSION_1 and the ring's aside. False: the device refuses, and is left with FAILED.
    bool negotiate(uint64_t wanted, uint64_t* accepted);
    // Queues are set up, go.
    void start() { set_status(status() | kStatusDriverOk); }

    // Allocates memory for the queue, of up to `wanted_size` descriptors, and tells the device.
    // ENXIO if the device has no such queue; ENOMEM.
    Result<void> set_up_queue(uint16_t index, uint16_t wanted_size, bool event_index,
                              Virtqueue& queue);

  protected:
    ~Transport() = default;
};

}  // namespace coracle::virtio
