// Idling, and how long the CPU did.
#pragma once

#include <cstdint>

namespace coracle {

// Waits for an interrupt, as core::halt() does.
void idle();

// TSC ticks spent in it since boot.
uint64_t idle_tsc_ticks();

}  // namespace coracle
