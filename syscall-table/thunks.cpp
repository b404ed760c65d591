#include "syscall-table/thunks.h"

namespace coracle {

uint32_t g_unsupported_calls[kCallCount];

}  // namespace coracle
