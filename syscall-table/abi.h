// Structures of system calls that neither the C library's headers nor Linux's declare.
#pragma once

#include <cstdint>

namespace coracle {

// The sixth argument of pselect6(2) and io_pgetevents(2).
struct SigsetAndSize {
    uint64_t set;   // address of a SignalSet; 0: leave the mask alone
    uint64_t size;  // of the set: 8
};

}  // namespace coracle
