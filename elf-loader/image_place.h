// Where the libc image goes in an address space. Its code addresses its variables directly, and
// the program owns copies of some (R_X86_64_COPY), so it must be within 2 GiB of the program.
#pragma once

#include <cstdint>

namespace coracle::image {

constexpr int64_t kReach = int64_t{1} << 31;
constexpr int64_t kRoom = int64_t{256} << 20;  // For the program's and the image's own size.

// The heap follows the program, and may grow this far at least.
constexpr uint64_t kDistance = uint64_t{1} << 30;

constexpr bool is_in_reach(uint64_t image, uint64_t program) {
    const auto distance = static_cast<int64_t>(image - program);
    return distance > kRoom - kReach && distance < kReach - kRoom;
}

// A page below a position-independent program, or above one that is linked to a low address.
constexpr uint64_t preferred_place(uint64_t program) {
    const uint64_t place =
        program > 2 * static_cast<uint64_t>(kReach) ? program - kDistance : program + kDistance;
    return place & ~uint64_t{4095};
}

}  // namespace coracle::image
