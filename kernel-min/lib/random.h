// The kernel's random numbers: ChaCha20 with fast key erasure, seeded at first use from RDRAND or
// RDSEED where the CPU has them, the TSC, and what the boot tells.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coracle {

void fill_random(void* to, size_t size);
uint64_t random_u64();
// Stirs more in; never makes the state weaker.
void add_entropy(const void* data, size_t size);

}  // namespace coracle
