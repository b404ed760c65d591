// The virtio console device (virtio 1.2, section 5.3), as one stream of bytes.
//
// QEMU drops what a `virtconsole` cannot write at once; its `virtserialport` waits. The latter
// needs VIRTIO_CONSOLE_F_MULTIPORT, and is port 1 or later there. So: port 1 of a device that has
// several, else the only port of one that has not.
#pragma once

#include "kernel-min/devices/virtio/transport.h"

namespace coracle::virtio {

class Console {
  public:
    // Sets the device up and, where ports are opened, opens ours. Queues have up to `queue_size`
    // descriptors; the receive queue starts full of buffers of a page each, whose token is the
    // page's address. ENXIO if the device refuses or has no such port; ENOMEM.
    Result<void> start(Transport& transport, uint16_t queue_size, InterruptHandler handler);

    // Gives a page back to the receive queue.
    void add_receive_page(PhysAddr page);
    void notify_receive() { transport_->notify(first_queue_); }
    void notify_transmit() { transport_->notify(first_queue_ + 1); }
    void acknowledge_interrupt() { transport_->acknowledge_interrupt(); }

    Virtqueue receive, transmit;

  private:
    Result<void> set_up_control(bool event_index);
    Result<void> open_port();
    void send_control(uint16_t event, uint16_t value);

    Transport* transport_ = nullptr;
    uint16_t first_queue_ = 0;  // of the port: receive, then transmit
    Virtqueue control_receive_, control_transmit_;
    PhysAddr control_page_ = 0;
};

}  // namespace coracle::virtio
