// From a system call's registers to its handler: the parts from which generate.py builds
// kSyscallThunks out of syscalls.tbl.
#pragma once

#include <cstdint>

#include "kernel-min/abi/process_page.h"
#include "kernel-min/lib/result.h"

namespace coracle {

using abi::kCallCount;
using abi::kSyscallCount;

// C ABI. Takes the six argument registers as they are and the number, which is for those that
// serve many calls. Mostly one jump to the handler.
using SyscallThunk = Result<long> (*)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t number);

// Indexed by number, never null. Numbers from kSyscallCount on are ENOSYS: the entry's to check.
extern "C" const SyscallThunk kSyscallThunks[kCallCount];

// How often the program made each call that the table does not support.
extern uint32_t g_unsupported_calls[kCallCount];

// What the program sees: the value or -errno, as entry.S makes it too.
inline long to_return_value(Result<long>& result) {
    return result.ok() ? result.value() : -static_cast<long>(result.error_code());
}

template <int errno_code>
Result<long> unsupported_call(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                              uint64_t number) {
    ++g_unsupported_calls[number];
    return Error(errno_code);
}

}  // namespace coracle
