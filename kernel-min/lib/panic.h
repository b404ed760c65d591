// Ends the VM with a report, for our own bugs only (but refuse_machine): prints the message, the
// registers and a backtrace through the ring-0 core, and powers off. Never for a program's mistake.
#pragma once

namespace coracle {

[[noreturn]] void panic(const char* message);
// The same with the registers of the frame.
struct TrapFrame;
[[noreturn]] void panic_with_frame(const char* message, const TrapFrame& frame);
// Ends the VM with the message alone: the machine is not fit to start on, which is nobody's bug.
[[noreturn]] void refuse_machine(const char* message);
[[noreturn]] void panic_assertion(const char* expression, const char* file, int line);

#define ASSERT(expression)                                                 \
    do {                                                                   \
        if (!(expression)) [[unlikely]]                                    \
            ::coracle::panic_assertion(#expression, __FILE__, __LINE__);   \
    } while (0)

}  // namespace coracle
