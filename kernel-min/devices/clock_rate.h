// How fast a tick counter runs, as the fixed-point factor ticks -> nanoseconds.
#pragma once

#include <cstdint>

namespace coracle {

struct ClockRate {
    static constexpr uint32_t kShift = 32;
    uint64_t multiplier = 0;  // nanoseconds per tick * 2^32; 0: not known

    bool is_known() const { return multiplier != 0; }

    uint64_t to_ns(uint64_t ticks) const {
        return static_cast<uint64_t>(static_cast<unsigned __int128>(ticks) * multiplier >> kShift);
    }

    // From so many ticks in so many nanoseconds; not known if either is 0.
    static ClockRate measured(uint64_t ticks, uint64_t ns) {
        // Both fit 32 bits after this, and keep 31 significant ones where they matter.
        while (ns >> 32) {
            ns >>= 1;
            ticks >>= 1;
        }
        if (ticks == 0 || ns == 0) return {};
        return {(ns << kShift) / ticks};
    }
    static ClockRate from_hertz(uint64_t hertz) { return measured(hertz, 1'000'000'000); }
};

}  // namespace coracle
