// One line of the trace from a system call's number, registers and result, as strace 6.1 prints it:
//
//     openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3
//
// Pure: the kernel, and tests on the host, give it a MemoryReader.
#pragma once

#include <cstdint>
#include <string_view>

#include "libposix/signals/signal_abi.h"
#include "syscall-table/trace/call.h"

namespace coracle::trace {

// Use: enter() before the call, leave() after it, then text(). What the call may change is read
// in enter(), what it answers in leave().
class CallFormatter {
  public:
    explicit CallFormatter(const MemoryReader& memory) : call_(memory) {}

    void enter(unsigned number, const uint64_t (&arguments)[6]);
    // `result`: the value or -errno (kErestartsys and the like too).
    void leave(long result);
    // The call will not come back: `= ?`.
    void leave_for_ever();

    // Ends with a newline once the call has been left.
    std::string_view text() const { return call_.line.text(); }

  private:
    bool print_arguments();
    void print_argument(unsigned index);
    uint64_t element_count(unsigned index) const;
    void finish_arguments();
    void print_result();

    Call call_;
    const CallDescriptor* descriptor_ = nullptr;
    unsigned next_ = 0;  // the first argument that is not yet printed
    uint8_t shown_ = 0;  // bit n: argument n is printed
    bool first_ = true;
};

// Whether the call never returns to its caller (exit, exit_group).
bool never_returns(unsigned number);

// `--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=NULL} ---`
void format_signal(Line& line, const SignalInfo& info);
// `+++ exited with 3 +++` or `+++ killed by SIGSEGV (core dumped) +++` from a wait status.
void format_exit(Line& line, int wait_status);

}  // namespace coracle::trace
