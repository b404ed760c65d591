// Channel 2 of the programmable interval timer (Intel 8254), the one that interrupts nobody, as a
// clock that wraps around every 55 ms.
#pragma once

#include <cstdint>

namespace coracle::pit {

constexpr uint64_t kHertz = 1193182;
constexpr uint32_t kPeriod = 0x10000;  // ticks

// Lets it run. False if there is no such device.
bool start();

// Ticks of the current period, counting up from 0 to kPeriod - 1.
uint32_t read();

}  // namespace coracle::pit
