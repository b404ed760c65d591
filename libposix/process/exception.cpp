// Exceptions, as the core hands them up: page faults to memory, the rest to signals; what our own
// code did wrong to the panic.
#include "kernel-min/lib/panic.h"
#include "kernel-min/memory/fixups.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/memory/page_fault.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

using namespace coracle;

extern "C" void on_exception(TrapFrame* frame) {
    KernelSection section;
    auto exception = static_cast<Exception>(frame->vector);
    if (exception == Exception::kPageFault && handle_page_fault(*frame)) return;
    if (!frame->from_application()) {
        if (fix_up_fault(*frame)) return;
        if (frame->on_kernel_stack()) panic_with_frame("exception in the kernel", *frame);
        // A wild jump: the way back is the application's once a handler's address is in the frame.
        return deliver_signals(*frame);
    }
    if (exception != Exception::kPageFault) handle_exception(*frame);
}
