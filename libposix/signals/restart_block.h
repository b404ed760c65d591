// How restart_syscall(2) goes on with a call that a signal without a handler (a stop, for one)
// interrupted: the call fills the thread's block and answers kErestartRestartblock.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

struct RestartBlock {
    using Function = Result<long> (*)(RestartBlock& block);

    Function function = nullptr;  // null: EINTR, as after any handler ran
    uint64_t arguments[6] = {};

    Error set(Function new_function) {
        function = new_function;
        return Error(kErestartRestartblock);
    }
};

}  // namespace coracle
