// The kernel's process page as the image's own functions see it.
#pragma once

#include "kernel-min/abi/process_page.h"

namespace coracle::libc {

// Null under another kernel than ours. Set before any resolver runs, so that resolvers can choose
// by it, and never changed: a forked child finds its own page at the same address.
extern "C" const abi::ProcessPage* coracle_process_page __attribute__((visibility("hidden")));

}  // namespace coracle::libc
