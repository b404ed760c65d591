// rt_sigreturn.
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/dispatch.h"
#include "syscall-table/handlers.h"

namespace coracle {

Result<long> sys_rt_sigreturn() {
    TrapFrame* frame = application_frame();
    if (!frame) {
        // A C call has no registers to come back to.
        force_signal(kSigSegv);
        return 0;
    }
    return_from_signal(*frame);
    return static_cast<long>(frame->rax);
}

}  // namespace coracle
