// Physical memory for host tests: an arena that the direct map is pointed at, with the real frame
// allocator on it. "RAM" has a hole and a reserved part, as machines have.
#pragma once

#include <cstddef>

#include "kernel-min/memory/frames.h"

namespace coracle {

constexpr size_t kFakeMemorySize = 96 << 20;
constexpr MemoryRange kFakeHole = {0x1000 * 160, 0x1000 * 256};       // as below 1 MiB on a PC
constexpr MemoryRange kFakeReserved = {5 << 20, (5 << 20) + 0x7000};  // as a boot module

// Once in a program; later calls do nothing.
void set_up_fake_memory();

}  // namespace coracle
