// The rewriter on the current process: called for each `syscall` instruction that traps.
#pragma once

#include <cstdint>

namespace coracle {

// `site`: the address of the `syscall` in the current process, which trapped with this rax.
// Rewrites it if that is provably right; the call itself goes on either way.
void consider_rewriting(uint64_t site, uint64_t rax);

}  // namespace coracle
