// The clocks of clock_gettime(2), by number.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

// What the clock shows. EINVAL: no such clock; the alarm clocks need a device that wakes a
// sleeping machine, which there is not, and give EINVAL as on such a Linux.
Result<uint64_t> clock_now(int clock);

}  // namespace coracle
