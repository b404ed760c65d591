#include "tools/vm/start_limit.h"

#include <algorithm>

namespace coracle {

std::chrono::nanoseconds StartLimit::spent(std::chrono::nanoseconds elapsed,
                                           const VirtualMachine::Activity& activity) {
    return std::max(activity.ran, elapsed - activity.ran - activity.waited_for_cpu);
}

StartLimit::Clock::duration StartLimit::left() const {
    const Clock::duration elapsed = Clock::now() - start_;
    if (elapsed < limit_) return limit_ - elapsed;
    return limit_ - spent(elapsed, vm_.activity());
}

int StartLimit::timeout_ms() const {
    // Not again and again, where the machine waits for a CPU.
    constexpr Clock::duration kShortest = std::chrono::milliseconds(100);
    const auto timeout = std::chrono::ceil<std::chrono::milliseconds>(std::max(left(), kShortest));
    return static_cast<int>(timeout.count());
}

}  // namespace coracle
