// The registers of interrupted code, as the core pushes them on the thread's kernel stack. The
// layout is known to kernel-min/core/*.S.
#pragma once

#include <cstdint>

namespace coracle {

struct TrapFrame {
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t cr2;
    uint64_t vector;      // exception number, or kTrapSyscall...
    uint64_t error_code;  // the exception's, or the original rax (the number) of a system call
    uint64_t rip, cs, rflags, rsp, ss;

    // The kernel shares ring 3 with the application: the address tells them apart.
    bool from_application() const { return static_cast<int64_t>(rip) >= 0; }
    // Kernel code that can fault runs on a kernel stack, but for the `ret` by which a call leaves,
    // which has a fix-up. So any other exception in the upper half without one is a program's that
    // jumped there.
    bool on_kernel_stack() const { return static_cast<int64_t>(rsp) < 0; }
};
static_assert(sizeof(TrapFrame) == 23 * 8);

constexpr uint64_t kTrapSyscall =
    0x100;  // a `syscall` instruction, or a call that left slowly (entry.S)
constexpr uint64_t kTrapInterrupt = 0x101;  // an interrupt came while the application ran

enum class Exception : uint8_t {
    kDivide = 0,
    kDebug = 1,
    kNmi = 2,
    kBreakpoint = 3,
    kOverflow = 4,
    kBound = 5,
    kInvalidOpcode = 6,
    kNoDevice = 7,
    kDoubleFault = 8,
    kInvalidTss = 10,
    kNotPresent = 11,
    kStack = 12,
    kProtection = 13,
    kPageFault = 14,
    kFloatingPoint = 16,
    kAlignment = 17,
    kMachineCheck = 18,
    kSimd = 19,
    kControlProtection = 21,
};

// Page-fault error-code bits (Intel SDM 3A, 4.7).
constexpr uint64_t kFaultPresent = 1, kFaultWrite = 2, kFaultUser = 4, kFaultReserved = 8,
                   kFaultFetch = 16;

constexpr uint16_t kUserCodeSelector = 0x33;  // as on Linux: programs see them
constexpr uint16_t kUserDataSelector = 0x2b;

}  // namespace coracle
