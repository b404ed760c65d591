#include "libposix/signals/signal_frame.h"

#include <cerrno>

#include "kernel-min/lib/user_copy.h"
#include "libposix/process/process.h"
#include "libposix/signals/extended_state.h"

namespace coracle {
namespace {

constexpr uint64_t kRedZone = 128;  // System V ABI for x86-64, 3.2.2
// The least size of an alternate stack: MINSIGSTKSZ, or what the CPU's registers need.
constexpr uint64_t kMinimumStack = 2048;

// Carry, parity, adjust, zero, sign, trap, direction, overflow, resume, alignment check.
constexpr uint64_t kRestorableFlags = 0x50dd5;
constexpr uint64_t kFlagTrap = 0x100, kFlagDirection = 0x400, kFlagResume = 0x10000;

// Whether the address lies within [base, base + size], as the stack grows down from its end.
bool is_within(const AlternateStack& stack, uint64_t stack_pointer) {
    return stack_pointer > stack.base && stack_pointer - stack.base <= stack.size;
}

SignalContext save_registers(const TrapFrame& frame, const ThreadSignals& signals,
                             SignalSet blocked, uint64_t extended_state) {
    SignalContext context{};
    context.r8 = frame.r8;
    context.r9 = frame.r9;
    context.r10 = frame.r10;
    context.r11 = frame.r11;
    context.r12 = frame.r12;
    context.r13 = frame.r13;
    context.r14 = frame.r14;
    context.r15 = frame.r15;
    context.rdi = frame.rdi;
    context.rsi = frame.rsi;
    context.rbp = frame.rbp;
    context.rbx = frame.rbx;
    context.rdx = frame.rdx;
    context.rax = frame.rax;
    context.rcx = frame.rcx;
    context.rsp = frame.rsp;
    context.rip = frame.rip;
    context.rflags = frame.rflags;
    context.cs = kUserCodeSelector;
    context.ss = kUserDataSelector;
    context.error_code = signals.trap_error;
    context.trap_number = signals.trap_number;
    context.old_mask = blocked;
    context.fault_address = signals.fault_address;
    context.extended_state = extended_state;
    return context;
}

void load_registers(TrapFrame& frame, const SignalContext& context) {
    frame.r8 = context.r8;
    frame.r9 = context.r9;
    frame.r10 = context.r10;
    frame.r11 = context.r11;
    frame.r12 = context.r12;
    frame.r13 = context.r13;
    frame.r14 = context.r14;
    frame.r15 = context.r15;
    frame.rdi = context.rdi;
    frame.rsi = context.rsi;
    frame.rbp = context.rbp;
    frame.rbx = context.rbx;
    frame.rdx = context.rdx;
    frame.rax = context.rax;
    frame.rcx = context.rcx;
    frame.rsp = context.rsp;
    frame.rip = context.rip;
    frame.rflags = (frame.rflags & ~kRestorableFlags) | (context.rflags & kRestorableFlags);
}

}  // namespace

bool is_on_alternate_stack(const AlternateStack& stack, uint64_t stack_pointer) {
    if (static_cast<uint32_t>(stack.flags) & kSsAutodisarm) return false;
    return is_within(stack, stack_pointer);
}

bool enter_signal_handler(TrapFrame& frame, const SignalInfo& info, const SignalAction& action,
                          SignalSet blocked) {
    // Linux for x86-64 has no return code of its own to fall back on.
    if (!(action.flags & kSaRestorer)) return false;

    ThreadSignals& signals = current_thread()->state->signals;
    AlternateStack& alternate = signals.alternate_stack;
    const bool was_on_alternate = is_on_alternate_stack(alternate, frame.rsp);
    const bool enters_alternate =
        (action.flags & kSaOnstack) && alternate.size != 0 && !was_on_alternate;

    uint64_t stack = enters_alternate ? alternate.base + alternate.size : frame.rsp - kRedZone;
    stack = (stack - extended_state_size()) & ~(kExtendedStateAlignment - 1);
    const uint64_t extended_state = stack;
    // At the handler's entry the stack is as after a call: 8 below a multiple of 16.
    stack = ((stack - sizeof(SignalFrame)) & ~uint64_t{15}) - 8;
    if ((was_on_alternate || enters_alternate) && !is_within(alternate, stack)) return false;
    if (!is_user_range(stack, sizeof(SignalFrame))) return false;
    if (!save_extended_state(extended_state)) return false;

    SignalFrame user_frame{};
    user_frame.return_address = action.restorer;
    user_frame.context.flags = kUcSigcontextSs | kUcStrictRestoreSs;
    if (has_xsave()) user_frame.context.flags |= kUcFpXstate;
    user_frame.context.stack = alternate;
    user_frame.context.registers = save_registers(frame, signals, blocked, extended_state);
    user_frame.context.blocked = blocked;
    const bool wants_info = action.flags & kSaSiginfo;
    if (wants_info) user_frame.info = info;
    const size_t size = wants_info ? sizeof(SignalFrame) : offsetof(SignalFrame, info);
    if (!copy_to_user(stack, &user_frame, size)) return false;

    if (static_cast<uint32_t>(alternate.flags) & kSsAutodisarm) alternate = {};
    frame.rdi = static_cast<uint64_t>(info.signo);
    frame.rsi = stack + offsetof(SignalFrame, info);
    frame.rdx = stack + offsetof(SignalFrame, context);
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = stack;
    frame.rflags &= ~(kFlagTrap | kFlagDirection | kFlagResume);
    reset_extended_state();
    return true;
}

bool leave_signal_handler(TrapFrame& frame, SignalSet* blocked) {
    const uint64_t stack = frame.rsp - sizeof(uint64_t);
    UserContext context;
    if (!copy_from_user(&context, stack + offsetof(SignalFrame, context), sizeof(context))) {
        return false;
    }
    *blocked = context.blocked;
    // The application has 64-bit code only.
    if ((context.registers.cs | 3) != kUserCodeSelector) return false;
    if ((context.flags & kUcStrictRestoreSs) && (context.registers.ss | 3) != kUserDataSelector) {
        return false;
    }
    load_registers(frame, context.registers);
    if (context.registers.extended_state == 0) {
        reset_extended_state();
    } else if (!restore_extended_state(context.registers.extended_state)) {
        return false;
    }
    // As Linux: a stack that sigaltstack(2) would refuse is left as it is.
    (void)set_alternate_stack(current_thread()->state->signals.alternate_stack, context.stack,
                              frame.rsp);
    return true;
}

Result<void> set_alternate_stack(AlternateStack& stack, AlternateStack value,
                                 uint64_t stack_pointer) {
    if (is_on_alternate_stack(stack, stack_pointer)) return Error(EPERM);
    const uint32_t mode = static_cast<uint32_t>(value.flags) & ~kSsAutodisarm;
    if (mode != 0 && mode != kSsOnstack && mode != kSsDisable) return Error(EINVAL);
    if (mode == kSsDisable) {
        value.size = 0;
        value.base = 0;
    } else if (value.size < kMinimumStack) {
        return Error(ENOMEM);
    }
    value.padding = 0;
    stack = value;
    return {};
}

}  // namespace coracle
