// The frame that a signal handler finds on its stack, bit for bit Linux's struct rt_sigframe for
// x86-64 (arch/x86/include/asm/sigframe.h, arch/x86/include/uapi/asm/sigcontext.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/sched/trap_frame.h"
#include "libposix/signals/signal_state.h"

namespace coracle {

struct SignalContext {  // struct sigcontext
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    uint16_t cs, gs, fs, ss;
    uint64_t error_code, trap_number;
    uint64_t old_mask;  // the first word of the mask, as long ago
    uint64_t fault_address;
    uint64_t extended_state;  // the address of the XSAVE area
    uint64_t reserved[8];
};
static_assert(sizeof(SignalContext) == 256);

constexpr uint64_t kUcFpXstate = 1, kUcSigcontextSs = 2, kUcStrictRestoreSs = 4;

struct UserContext {  // struct ucontext
    uint64_t flags;
    uint64_t link;
    AlternateStack stack;
    SignalContext registers;
    SignalSet blocked;
};
static_assert(sizeof(UserContext) == 304);

struct SignalFrame {  // struct rt_sigframe
    uint64_t return_address;
    UserContext context;
    SignalInfo info;
};
static_assert(sizeof(SignalFrame) == 440);

// Builds the frame for `action`'s handler on the application's stack (the alternate one if asked
// for), and makes `frame` enter the handler. `blocked`: the mask that the handler's return puts
// back. False if the stack cannot take it; then nothing but stack memory has changed.
bool enter_signal_handler(TrapFrame& frame, const SignalInfo& info, const SignalAction& action,
                          SignalSet blocked);

// Undoes it from the frame at frame.rsp - 8: registers, vector state, alternate stack; and gives
// the mask. False if the frame cannot be read or holds what the CPU would refuse.
bool leave_signal_handler(TrapFrame& frame, SignalSet* blocked);

// Whether an application stack pointer lies on the alternate stack (never with SS_AUTODISARM).
bool is_on_alternate_stack(const AlternateStack& stack, uint64_t stack_pointer);

// sigaltstack(2)'s checks and effect. EPERM: the thread runs on it; EINVAL, ENOMEM.
Result<void> set_alternate_stack(AlternateStack& stack, AlternateStack value,
                                 uint64_t stack_pointer);

}  // namespace coracle
