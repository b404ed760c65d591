// Faults that kernel code expects: instructions that touch application memory stand in the
// section .fixups as pairs of (the instruction, where to go on after a fault), 32 bits each
// that are relative to their own place.
#pragma once

#include "kernel-min/sched/trap_frame.h"

namespace coracle {

// If the faulting instruction has a fix-up, makes the frame go on there. The continuation finds
// every register as it was at the fault.
bool fix_up_fault(TrapFrame& frame);

}  // namespace coracle
