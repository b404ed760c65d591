// How long a machine may take until its kernel's first word. One that is stuck runs all the time or
// idles; what a busy host lets it wait for a CPU tells nothing, and does not count.
#pragma once

#include <chrono>

#include "tools/vm/virtual_machine.h"

namespace coracle {

class StartLimit {
  public:
    using Clock = std::chrono::steady_clock;

    // From now on. The machine must outlive it.
    StartLimit(const VirtualMachine& vm, std::chrono::nanoseconds limit) : vm_(vm), limit_(limit) {}

    bool is_over() const { return left() <= Clock::duration::zero(); }
    // For poll(2): it is not over before, and may not be then.
    int timeout_ms() const;

    // How much of it such a machine has used.
    static std::chrono::nanoseconds spent(std::chrono::nanoseconds elapsed,
                                          const VirtualMachine::Activity& activity);

  private:
    Clock::duration left() const;

    const VirtualMachine& vm_;
    const std::chrono::nanoseconds limit_;
    const Clock::time_point start_ = Clock::now();
};

}  // namespace coracle
