#include "kernel-min/devices/virtio/console.h"

#include "kernel-min/devices/clock_source.h"

namespace coracle::virtio {

namespace {

constexpr uint64_t kFeatureMultiport = 1 << 1;

// Queues (5.3.2): those of port 0, of control, of port 1...
constexpr uint16_t kPort0Queue = 0, kControlQueue = 2, kPort1Queue = 4;
constexpr uint32_t kPort = 1;

// 5.3.6.2.
struct ControlMessage {
    uint32_t port;
    uint16_t event;
    uint16_t value;
};
constexpr uint16_t kDeviceReady = 0, kPortAdd = 1, kPortReady = 3, kPortOpen = 6;

constexpr uint16_t kControlQueueSize = 8;
constexpr uint64_t kControlTimeoutNs = 1'000'000'000;

// Control messages lie in one page: those of the device first, then ours, by descriptor.
constexpr size_t kMessageStep = 64;  // an event may carry a name
static_assert(2 * kControlQueueSize * kMessageStep <= kPageSize);

}  // namespace

void Console::add_receive_page(PhysAddr page) {
    Virtqueue::Buffer buffer{page, kPageSize, true};
    receive.add({&buffer, 1}, page);
}

Result<void> Console::start(Transport& transport, uint16_t queue_size, InterruptHandler handler) {
    transport_ = &transport;
    uint64_t features;
    if (!transport.negotiate(kFeatureMultiport, &features)) return Error(ENXIO);
    bool event_index = features & kFeatureEventIndex;
    bool opens_port = features & kFeatureMultiport && transport.max_queue_size(kPort1Queue) > 0;
    first_queue_ = opens_port ? kPort1Queue : kPort0Queue;
    TRY(transport.set_up_queue(first_queue_, queue_size, event_index, receive));
    TRY(transport.set_up_queue(first_queue_ + 1, queue_size, event_index, transmit));
    if (opens_port) TRY(set_up_control(event_index));
    for (uint16_t i = 0; i < receive.size(); i++) add_receive_page(TRY(allocate_frame()));
    transmit.disable_interrupts();
    receive.enable_interrupts();
    transport.connect_interrupt(handler, nullptr, LockNeeded::kAlone);
    transport.start();
    if (opens_port) TRY(open_port());
    if (receive.publish()) notify_receive();
    return {};
}

Result<void> Console::set_up_control(bool event_index) {
    TRY(transport_->set_up_queue(kControlQueue, kControlQueueSize, event_index, control_receive_));
    TRY(transport_->set_up_queue(kControlQueue + 1, kControlQueueSize, event_index,
                                 control_transmit_));
    control_page_ = TRY(allocate_frame());
    for (uint16_t i = 0; i < control_receive_.size(); i++) {
        PhysAddr message = control_page_ + i * kMessageStep;
        Virtqueue::Buffer buffer{message, kMessageStep, true};
        control_receive_.add({&buffer, 1}, message);
    }
    control_receive_.disable_interrupts();
    control_transmit_.disable_interrupts();
    return {};
}

void Console::send_control(uint16_t event, uint16_t value) {
    uint16_t slot =
        kControlQueueSize + control_transmit_.size() - control_transmit_.free_descriptors();
    PhysAddr message = control_page_ + slot * kMessageStep;
    *phys_to_virt<ControlMessage>(message) = {kPort, event, value};
    Virtqueue::Buffer buffer{message, sizeof(ControlMessage), false};
    control_transmit_.add({&buffer, 1}, message);
    if (control_transmit_.publish()) transport_->notify(kControlQueue + 1);
}

// Each message goes out once and in this order, so nothing is ever taken back from the queues: the
// device's later events find no more buffers than there are, and are dropped.
Result<void> Console::open_port() {
    if (control_receive_.publish()) transport_->notify(kControlQueue);
    send_control(kDeviceReady, 1);
    uint64_t deadline_ns = monotonic_ns() + kControlTimeoutNs;
    for (;;) {
        auto used = control_receive_.take_used();
        if (used) {
            const auto* message = phys_to_virt<ControlMessage>(used->token);
            if (message->port == kPort && message->event == kPortAdd) break;
        } else if (monotonic_ns() > deadline_ns) {
            return Error(ENXIO);
        } else {
            asm volatile("pause");
        }
    }
    send_control(kPortReady, 1);
    send_control(kPortOpen, 1);
    return {};
}

}  // namespace coracle::virtio
