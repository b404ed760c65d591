// The rate of the TSC from a reference clock that is read beside it. A hypervisor may stop the CPU
// between the two readings, so one window is not believed: the rate counts as exact when some in a
// row agree. A reading that was late is the end of one window and the start of the next, and spoils
// them in opposite directions. Pure: who reads the clocks is clock_source.cpp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernel-min/devices/clock_rate.h"

namespace coracle {

class ClockCalibration {
  public:
    static constexpr unsigned kWindows = 3;
    static constexpr uint64_t kWindowNs = 3'400'000;  // the first ones; longer if they disagree
    static constexpr uint64_t kSpread = 500;          // they may differ by a 500th

    // What both clocks saw since the last call.
    void add(uint64_t ticks, uint64_t ns) {
        current_.ticks += ticks;
        current_.ns += ns;
        if (current_.ns < window_ns_ || is_exact_) return;
        windows_[count_++ % kWindows] = current_;
        current_ = {};
        if (count_ < kWindows) return;
        is_exact_ = agree();
        if (!is_exact_ && count_ % kWindows == 0) window_ns_ *= 2;
    }

    // Of the last windows; not known before the reference has moved.
    ClockRate rate() const {
        Window sum = current_;
        for (unsigned i = 0; i < std::min(count_, kWindows); i++) {
            sum.ticks += windows_[i].ticks;
            sum.ns += windows_[i].ns;
        }
        return ClockRate::measured(sum.ticks, sum.ns);
    }
    bool is_exact() const { return is_exact_; }

  private:
    struct Window {
        uint64_t ticks = 0, ns = 0;
    };
    bool agree() const {
        uint64_t least = UINT64_MAX, most = 0;
        for (const Window& window : windows_) {
            const uint64_t rate = ClockRate::measured(window.ticks, window.ns).multiplier;
            least = std::min(least, rate);
            most = std::max(most, rate);
        }
        return most - least <= least / kSpread;
    }

    Window windows_[kWindows];  // the last ones
    Window current_;
    uint64_t window_ns_ = kWindowNs;
    unsigned count_ = 0;
    bool is_exact_ = false;
};

}  // namespace coracle
