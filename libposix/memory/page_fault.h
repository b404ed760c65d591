// The page-fault upcall.
#pragma once

#include "kernel-min/sched/trap_frame.h"

namespace coracle {

// Resolves the fault or, for application code, forces the signal that Linux would send; true
// then. False for kernel code whose access cannot be had: the caller looks for a fix-up.
bool handle_page_fault(TrapFrame& frame);

}  // namespace coracle
