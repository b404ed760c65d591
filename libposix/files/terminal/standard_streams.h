// Descriptors 0, 1 and 2 of the first process, and the terminal's nodes in /dev.
#pragma once

#include "kernel-min/devices/boot_config.h"
#include "kernel-min/lib/result.h"

namespace coracle {

class Process;

// Opens the three descriptors in the process's table, which is empty: the terminal for those that
// the configuration says are one, and streams that look like pipes for the others. From now on the
// host's signals reach the process. The root is mounted. ENOMEM.
Result<void> open_standard_streams(Process& process, const BootConfig& config);

}  // namespace coracle
