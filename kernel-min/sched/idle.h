// Idling, and how long the CPU did.
#pragma once

#include <cstdint>

#include "kernel-min/sched/cpu.h"

namespace coracle {

// Waits for an interrupt, as core::halt() does.
void idle();

// What a driver wants to do before a CPU halts: poll, or ask for interrupts. True: there was
// something, so do not halt. One for the machine; the kernel lock is held, perhaps locally.
using IdleWork = bool (*)();
void set_idle_work(IdleWork work);

// TSC ticks that a CPU has spent in it.
uint64_t idle_tsc_ticks(const Cpu& cpu);

}  // namespace coracle
