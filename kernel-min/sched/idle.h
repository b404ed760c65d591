// Idling, and how long the CPU did.
#pragma once

#include <cstdint>

namespace coracle {

// Waits for an interrupt, as core::halt() does.
void idle();

// What a driver wants to do before a CPU halts: poll, or ask for interrupts. True: there was
// something, so do not halt. One for the machine; the kernel lock is held.
using IdleWork = bool (*)();
void set_idle_work(IdleWork work);

// TSC ticks spent in it since boot.
uint64_t idle_tsc_ticks();

}  // namespace coracle
