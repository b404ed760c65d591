#include "kernel-min/devices/pit.h"

#include "kernel-min/core/gates.h"

namespace coracle::pit {
namespace {

constexpr uint16_t kCounter2 = 0x42, kControl = 0x43, kGate = 0x61;
constexpr uint8_t kSelect2 = 0x80, kBothBytes = 0x30, kRateGenerator = 0x04;
constexpr uint8_t kGateOpen = 1, kSpeaker = 2;

uint8_t in(uint16_t port) { return static_cast<uint8_t>(core::port_in(port, 1)); }
void out(uint16_t port, uint8_t value) { core::port_out(port, 1, value); }

}  // namespace

bool start() {
    const uint8_t gate = in(kGate);
    if (gate == 0xff) return false;
    out(kGate, static_cast<uint8_t>((gate & ~kSpeaker) | kGateOpen));
    out(kControl, kSelect2 | kBothBytes | kRateGenerator);
    out(kCounter2, 0);  // 0 counts as 65536
    out(kCounter2, 0);
    return true;
}

uint32_t read() {
    out(kControl, kSelect2);  // latches the count
    const uint32_t low = in(kCounter2);
    const uint32_t count = in(kCounter2) << 8 | low;  // 65536 (read as 0) down to 1
    return (kPeriod - count) % kPeriod;
}

}  // namespace coracle::pit
