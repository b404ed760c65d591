// The CPU time that the process and its thread have used: all the time that the CPU did not idle.
#pragma once

#include <cstdint>

namespace coracle {

// Nanoseconds since the process started. User and system time are not told apart: a call costs
// too little to look at the clock twice for it.
uint64_t process_cpu_time_ns();

}  // namespace coracle
