// The vector and floating-point registers. The kernel uses general registers only, so while it
// runs they hold the application's values: they go from the CPU to the application's memory and
// back without a copy in between.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coracle {

// Bytes of the area in a signal frame, with the magic number behind it.
size_t extended_state_size();
constexpr uint64_t kExtendedStateAlignment = 64;

// Whether the area is XSAVE's (UC_FP_XSTATE) rather than FXSAVE's.
bool has_xsave();

// Writes the area as Linux does: FXSAVE part with the software bytes, XSAVE header, components,
// FP_XSTATE_MAGIC2. False: EFAULT.
bool save_extended_state(uint64_t user_address);

// Loads it; what the area lacks gets its initial value. False: unreadable, or refused by the CPU.
bool restore_extended_state(uint64_t user_address);

// The state a program starts with, and so does a signal handler.
void reset_extended_state();

}  // namespace coracle
