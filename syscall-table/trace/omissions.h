// Arguments that a call does not have: what they would be depends on the others.
#pragma once

#include <cstdint>

namespace coracle::trace {

struct Call;

// A bit for each argument of the call that strace prints.
uint8_t shown_arguments(const Call& call, unsigned argument_count);

}  // namespace coracle::trace
