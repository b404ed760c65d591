// Stand-in for host tests: one thread, without a process.
#pragma once

#include <cstdint>

namespace coracle {

struct Thread;
Thread* current_thread();

}  // namespace coracle
