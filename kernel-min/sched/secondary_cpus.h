// The CPUs beside the one that booted.
#pragma once

namespace coracle {

// Starts the machine's other CPUs, up to MAX_CPUS (core/layout.h). They have no work yet. Called
// once, from the first thread; from then on the kernel lock is in use, and this CPU has it.
void start_secondary_cpus();

}  // namespace coracle
