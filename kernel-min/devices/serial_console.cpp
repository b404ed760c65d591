#include "kernel-min/devices/serial_console.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/sched/cpu.h"

namespace coracle::serial_console {

namespace {

// 16550 registers and bits (National Semiconductor PC16550D, section 8).
constexpr uint16_t kCom1 = 0x3f8;
constexpr uint16_t kData = kCom1, kInterruptEnable = kCom1 + 1, kLineStatus = kCom1 + 5;
constexpr uint32_t kReceivedAvailable = 1, kDataReady = 1;
constexpr unsigned kInterruptLine = 4;

host_channel::Receiver receiver;

void handle_interrupt(void*) {
    // Until the FIFO is empty: only then does the line fall, so that the next byte is an edge.
    for (;;) {
        char bytes[16];
        size_t count = 0;
        while (count < sizeof(bytes) && (core::port_in(kLineStatus, 1) & kDataReady)) {
            bytes[count++] = static_cast<char>(core::port_in(kData, 1));
        }
        if (count == 0) return;
        receiver({bytes, count}, UINT32_MAX);
    }
}

}  // namespace

void start(host_channel::Receiver input) {
    receiver = input;
    core::route_interrupt_line(kInterruptLine,
                               register_interrupt_handler(handle_interrupt, nullptr));
    core::port_out(kInterruptEnable, 1, kReceivedAvailable);
}

void write(std::span<const char> text) {
    core::print(text.data(), text.size());
}

}  // namespace coracle::serial_console
