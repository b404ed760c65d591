// Exceptions of application code, but for page faults, as the signals that Linux makes of them
// (arch/x86/kernel/traps.c).
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

// The unmasked exceptions among the x87 status or MXCSR flags, as si_code; 0 if there is none.
int floating_point_code(uint32_t exceptions) {
    constexpr uint32_t kInvalid = 1, kDenormal = 2, kDivide = 4, kOverflow = 8, kUnderflow = 16,
                       kPrecision = 32;
    if (exceptions & kInvalid) return kFpeFltinv;
    if (exceptions & kDivide) return kFpeFltdiv;
    if (exceptions & kOverflow) return kFpeFltovf;
    if (exceptions & (kDenormal | kUnderflow)) return kFpeFltund;
    if (exceptions & kPrecision) return kFpeFltres;
    return 0;
}

uint32_t x87_exceptions() {
    uint16_t control, status;
    asm volatile("fnstcw %0" : "=m"(control));
    asm volatile("fnstsw %0" : "=m"(status));
    return static_cast<uint32_t>(status & ~control);
}

uint32_t simd_exceptions() {
    uint32_t mxcsr;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    constexpr unsigned kMaskShift = 7;
    return ~(mxcsr >> kMaskShift) & mxcsr;
}

void raise_floating_point(uint32_t exceptions, uint64_t address) {
    const int code = floating_point_code(exceptions);
    // Without one, the exception has gone by itself: the instruction is tried again.
    if (code) force_signal_fault(kSigFpe, code, address);
}

}  // namespace

void handle_exception(TrapFrame& frame) {
    switch (static_cast<Exception>(frame.vector)) {
        case Exception::kDivide:
            return force_signal_fault(kSigFpe, kFpeIntdiv, frame.rip);
        case Exception::kDebug:
            return force_signal_fault(kSigTrap, kTrapTrace, frame.rip);
        case Exception::kBreakpoint:
            return force_signal(kSigTrap);
        case Exception::kInvalidOpcode:
        case Exception::kNoDevice:
            return force_signal_fault(kSigIll, kIllIllopn, frame.rip);
        case Exception::kNotPresent:
        case Exception::kStack:
            return force_signal(kSigBus);
        case Exception::kFloatingPoint:
            return raise_floating_point(x87_exceptions(), frame.rip);
        case Exception::kSimd:
            return raise_floating_point(simd_exceptions(), frame.rip);
        case Exception::kAlignment:
            return force_signal_fault(kSigBus, kBusAdraln, 0);
        default:  // overflow, bounds, a bad segment, protection
            return force_signal(kSigSegv);
    }
}

}  // namespace coracle
