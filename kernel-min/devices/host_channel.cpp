#include "kernel-min/devices/host_channel.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>

#include "kernel-min/core/gates.h"
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/devices/frame_reader.h"
#include "kernel-min/devices/serial_console.h"
#include "kernel-min/devices/transmit_ring.h"
#include "kernel-min/devices/virtio/bus.h"
#include "kernel-min/devices/virtio/console.h"
#include "kernel-min/sched/timer_queue.h"
#include "kernel-min/sched/wait.h"

namespace coracle::host_channel {

using channel::FrameHeader;
using channel::FrameType;

namespace {

constexpr uint16_t kQueueSize = 16;

constexpr unsigned kTransmitOrder = 4;
constexpr size_t kTransmitSize = kPageSize << kTransmitOrder;
static_assert(kMaxSend + sizeof(FrameHeader) <= kTransmitSize);

constexpr uint64_t kConfigTimeoutNs = 10'000'000'000;
constexpr uint64_t kTraceDelayNs = 5'000'000;

void deliver(FrameType type, std::span<const char> piece, uint32_t remaining);
void publish();
void reclaim();

bool connected;
virtio::Console console;
TransmitRing ring;
FrameReader reader{deliver};
Receiver receivers[32];
WaitQueue space_freed;  // also: `filler` has finished
Thread* filler;         // the thread that fills the part behind the ring's end
bool draining;          // a receiver's own call must not start again
Timer trace_timer{[](void*) { publish(); }, nullptr};

std::unique_ptr<char[]> config_text;
size_t config_size, config_received;

void deliver(FrameType type, std::span<const char> piece, uint32_t remaining) {
    size_t index = static_cast<size_t>(type);
    if (index < std::size(receivers) && receivers[index]) receivers[index](piece, remaining);
}

void receive_config(std::span<const char> piece, uint32_t remaining) {
    if (!config_text) {
        config_size = piece.size() + remaining;
        if (config_size > channel::kMaxConfig) return;
        config_text.reset(new (std::nothrow) char[config_size]);
        if (!config_text) return;
    }
    if (config_received + piece.size() > config_size) return;  // a second kConfig
    memcpy(config_text.get() + config_received, piece.data(), piece.size());
    config_received += piece.size();
}

// Gives the device all that was appended. Bytes that find no free descriptor leave when the device
// returns one, which its interrupt tells.
void publish() {
    if (ring.publish()) console.notify_transmit();
    while (ring.unpublished() > 0 && console.transmit.enable_interrupts()) reclaim();
}

// Who still waits for the device afterwards has to enable interrupts again.
void reclaim() {
    if (!ring.reclaim()) return;
    console.transmit.disable_interrupts();
    space_freed.wake_all();
    if (ring.unpublished() > 0) publish();
}

void receive() {
    do {
        while (auto used = console.receive.take_used()) {
            size_t length = std::min<size_t>(used->length, kPageSize);
            reader.feed({phys_to_virt<char>(used->token), length});
            console.add_receive_page(used->token);
        }
        if (console.receive.publish()) console.notify_receive();
    } while (console.receive.enable_interrupts());
}

void handle_interrupt(void*) {
    console.acknowledge_interrupt();
    poll();
}

// Waits without the scheduler, before there is one or when nothing else may run.
template <typename Done>
bool wait_alone(uint64_t deadline_ns, Done done) {
    for (;;) {
        poll();
        if (done()) return true;
        uint64_t now = monotonic_ns();
        if (now >= deadline_ns) return false;
        arm_clock_timer(deadline_ns - now);
        core::halt();
        handle_pending_interrupts();
    }
}

bool has_space(size_t bytes) {
    return !filler && ring.free_space() >= bytes;
}

void wait_for_space(size_t bytes) {
    if (has_space(bytes)) [[likely]]
        return;
    publish();
    auto ready = [&] {
        do {
            reclaim();
            if (has_space(bytes)) return true;
        } while (console.transmit.enable_interrupts());
        return false;
    };
    while (!wait_until(space_freed, Deadline::never(), ready, Interruptible::kNo).ok()) {
    }
}

// Completes the frame whose payload lies behind the header's place.
void finish_frame(FrameType type, size_t length) {
    FrameHeader header{type, {}, static_cast<uint32_t>(length)};
    ring.put(0, &header, sizeof(header));
    ring.advance(sizeof(header) + length);
    if (type != FrameType::kTrace || ring.unpublished() >= kPageSize) {
        publish();
    } else if (!trace_timer.is_active()) {
        trace_timer.start(monotonic_ns() + kTraceDelayNs);
    }
}

// Streams go out as they are, the VM's own lines with a prefix, and the rest has no use there.
void send_serial(FrameType type, std::span<const char> payload) {
    switch (type) {
        case FrameType::kMessage: {
            constexpr std::string_view kPrefix = "coracle: ";
            serial_console::write(kPrefix);
            [[fallthrough]];
        }
        case FrameType::kStdoutData:
        case FrameType::kStderrData:
        case FrameType::kTrace:
            serial_console::write(payload);
            break;
        default:
            break;
    }
}

Result<void> start_console() {
    virtio::Transport* transport = virtio::find_device(virtio::kDeviceConsole);
    if (!transport) return Error(ENXIO);
    TRY(console.start(*transport, kQueueSize, handle_interrupt));
    PhysAddr memory = TRY(allocate_frames(kTransmitOrder));
    ring.initialize(phys_to_virt<char>(memory), memory, kTransmitSize, console.transmit);
    return {};
}

}  // namespace

bool start() {
    connected = start_console().ok();
    if (connected) {
        set_receiver(FrameType::kConfig, receive_config);
    } else {
        serial_console::start([](std::span<const char> piece, uint32_t remaining) {
            deliver(FrameType::kStdinData, piece, remaining);
        });
    }
    return connected;
}

bool is_connected() {
    return connected;
}

Result<BootConfig> wait_for_config() {
    uint32_t version = channel::kVersion;
    send(FrameType::kHello, {reinterpret_cast<const char*>(&version), sizeof(version)});
    bool complete = wait_alone(monotonic_ns() + kConfigTimeoutNs,
                               [] { return config_text && config_received == config_size; });
    if (!complete) return Error(ETIMEDOUT);
    return BootConfig::parse(std::move(config_text), config_size);
}

void set_receiver(FrameType type, Receiver receiver) {
    receivers[static_cast<size_t>(type)] = receiver;
}

void send(FrameType type, std::span<const char> payload) {
    ASSERT(payload.size() <= kMaxSend);
    if (!connected) {
        send_serial(type, payload);
        return;
    }
    wait_for_space(sizeof(FrameHeader) + payload.size());
    ring.put(sizeof(FrameHeader), payload.data(), payload.size());
    finish_frame(type, payload.size());
}

size_t send_filled(FrameType type, size_t length, Fill fill, void* context) {
    ASSERT(length <= kMaxSend);
    if (!connected) {
        char bytes[256];
        size_t count = fill(context, bytes, std::min(length, sizeof(bytes)));
        send_serial(type, {bytes, count});
        return count;
    }
    wait_for_space(sizeof(FrameHeader) + length);
    filler = current_thread();
    size_t done = 0;
    while (done < length) {
        size_t contiguous;
        char* to = ring.at(sizeof(FrameHeader) + done, &contiguous);
        size_t wanted = std::min(length - done, contiguous);
        size_t count = fill(context, to, wanted);
        done += count;
        if (count < wanted) break;
    }
    filler = nullptr;
    space_freed.wake_all();
    if (done > 0) finish_frame(type, done);
    return done;
}

void report_line(std::string_view text) {
    text = text.substr(0, kMaxSend - 1);
    // Where sending would have to wait for ourselves, or for a device that is not there yet.
    bool by_channel = connected && has_space(sizeof(FrameHeader) + text.size() + 1);
    if (!by_channel) {
        send_serial(FrameType::kMessage, text);
        send_serial(FrameType::kStderrData, std::string_view("\n"));
        return;
    }
    ring.put(sizeof(FrameHeader), text.data(), text.size());
    ring.put(sizeof(FrameHeader) + text.size(), "\n", 1);
    finish_frame(FrameType::kMessage, text.size() + 1);
}

void send_exit(uint32_t wait_status) {
    if (!connected) return;
    send(FrameType::kExit, {reinterpret_cast<const char*>(&wait_status), sizeof(wait_status)});
    wait_alone(UINT64_MAX, [] {
        while (!ring.is_empty() && console.transmit.enable_interrupts()) reclaim();
        return ring.is_empty();
    });
}

void poll() {
    if (!connected || draining) return;
    draining = true;
    receive();
    reclaim();
    publish();
    draining = false;
}

}  // namespace coracle::host_channel
